"""The whole way from data to a model in one call: `maskrcnn.train`, and `maskrcnn train` on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ..config import RunSettings
from ..config.base import Changes
from ..data.augmentation import Augment
from ..data.dataset import Dataset
from ..errors import SettingError
from ..model.mask_rcnn import MaskRCNN
from ..ops.devices import choose_device
from ..progress import waiting
from ..weights.published import preset_settings
from .alternating import alternating_settings, is_alternating, train_alternating
from .checkpoint import load_checkpoint
from .dataset import TrainingData, read_training_data, train_on_dataset
from .finish import finish_run, write_scores
from .loop import TrainingResult
from .run_folder import CHECKPOINT_NAME, DataArguments, check_folder, default_folder, load_data_arguments, locked
from .settings import with_range, with_stuff
from .start import TrainingStart, build_start, choose_start, require_fit
from .summary import data_remarks, fallback_panel, limit_remarks, plan_table

DataSource = str | Path | Dataset


def train(
    data: DataSource | None = None,
    *,
    output: str | Path | None = None,
    val: DataSource | None = None,
    images: str | Path | None = None,
    form: str | None = None,
    skip_invalid: bool = False,
    weights: str | Path | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | Iterable[str] | RunSettings | None = None,
    config: str | Path | None = None,
    model: MaskRCNN | None = None,
    augment: Augment | None = None,
    device: str | torch.device | None = None,
    resume: bool = False,
    proposals: str | Path | None = None,
    val_proposals: str | Path | None = None,
    alternating: bool = False,
    quiet: bool = False,
) -> TrainingResult:
    """Train a model on a dataset, and score it.

    Example:
        result = maskrcnn.train("data/", output="runs/mine", settings={"train.steps": 2000})
        print(result.scores["segm"]["AP"], result.weights)

    The folder gets the weights to predict with (`best.safetensors`), checkpoints, the log, scores, curves and a sheet
    of images. A run that was stopped, by Ctrl-C or by a power cut, goes on with `resume` and ends in the same weights.

    Args:
        data: A dataset's file or folder of any known format, or one in memory; None: what the run to resume has.
        output: The run's folder; None: `runs/` and the data's name.
        val: Validation data; None: the folder's own, or a part held out.
        images: Folder of the images, if it is not beside the file.
        form: Name of the data's format; None: recognized.
        skip_invalid: Leave out objects that break a rule, where one would be an error.
        weights: File or name to start from; None: published ones, or random ones if they cannot be fetched; "none":
            random. Random weights get settings that suit them (`maskrcnn.FROM_RANDOM`).
        preset: Name of the model's settings; None: those of the weights.
        settings: Changes such as {"train.steps": 2000} or ["train.steps=2000"], or settings, of which counts what
            differs from the defaults. They win over the preset and the file.
        config: YAML file with settings.
        model: To train in place of the one that weights and settings give, such as `build_model` makes with a backbone
            or a head of one's own. Its settings are the run's; only those of the input and the training can change.
        augment: A change of images and objects of one's own, before those of the settings; see `training_batches`.
        device: "cpu", "cuda", "cuda:1", "mps"; None: CUDA where it is.
        resume: Go on with the run in the folder. Without `data` it is that of the run; what `settings` change is said,
            and may not be the model, its layers, the optimizer, averaging, seed or held-out part.
        proposals, val_proposals: Files of boxes in place of the network's own proposals (Fast R-CNN).
        alternating: In four steps: proposals, heads, proposals, heads (Ren et al. 2015); `output` tells where it was.
        quiet: Show nothing on the screen.

    Returns:
        Where the weights are and, if it was not stopped, what they reach on the validation data.

    Raises:
        SettingError: Arguments or settings contradict each other, or the folder holds a run already.
        DataError: The data cannot be used.
        WeightsError: The weights cannot be read.
        TrainingError: A loss is not finite.
    """
    _refuse_contradictions(locals())
    folder = Path(output) if output else default_folder(data)
    check_folder(folder, resume=resume, alternating=alternating)
    place, console = choose_device(device), Console(stderr=True, quiet=quiet)
    given: dict[str, Any] = {
        "images": _path(images),
        "val": val if isinstance(val, Dataset) else _path(val),
        "skip_invalid": skip_invalid,
        "proposals": _path(proposals),
        "val_proposals": _path(val_proposals),
        "alternating": alternating,
        "form": form,
    }
    if data is None:  # those of the run, and what is given in place of them
        source = replace(load_data_arguments(folder), **{name: value for name, value in given.items() if value})
    else:
        source = DataArguments(data if isinstance(data, Dataset) else Path(data), **given)
    changes = (_path(config), settings)
    if resume:
        chosen = _settings_of(folder, *changes)
    else:
        chosen = (preset_settings(preset) if model is None else RunSettings.of(model.settings)).changed(*changes)
    with waiting(f"reading {source.name}", console):
        found = read_training_data(source, chosen)
    if model is not None:
        require_fit(model, chosen, found.train.classes)
    # After the data, for the weights may have to be fetched.
    known = resume or model is not None
    start = TrainingStart(chosen) if known else choose_start(weights, *changes, preset=preset)
    result = _train(
        folder, source, found, start, model=model, augment=augment, device=place, resume=resume, console=console
    )
    return replace(result, folder=folder, val=found.val)


def _train(
    folder: Path,
    source: DataArguments,
    data: TrainingData,
    start: TrainingStart,
    *,
    model: MaskRCNN | None,
    augment: Augment | None,
    device: torch.device,
    resume: bool,
    console: Console,
) -> TrainingResult:
    if start.warning:
        console.print(fallback_panel(start.warning))
    settings = with_stuff(start.settings, data.train.classes)
    if source.proposals is not None:
        settings = without_proposing(settings)
        data = _with_proposals(data, source, settings)
    values = None
    if not resume:
        with waiting("looking for images of more than 8 bits", console):
            settings, values = with_range(settings, data.train)
    origin = "of the given model"
    if values is not None and model is not None:
        model.settings = settings.model
    if model is None:
        model, origin = build_start(start._replace(settings=settings), data.train.classes, resume=resume)
    with locked(folder):
        source.save(folder)
        console.print(plan_table(folder, data, settings, device=device, origin=origin))
        console.print(*data_remarks(data, values), *limit_remarks(data, settings.model), sep="\n")
        how: dict[str, Any] = {"folder": folder, "device": device, "quiet": console.quiet, "augment": augment}
        if source.alternating:
            result = train_alternating(model, data, settings, **how)
        else:
            result = train_on_dataset(model, data, settings, **how, resume=resume)
        return _finished(result, model, data.val, settings, device=device, quiet=console.quiet)


def _finished(
    result: TrainingResult,
    model: MaskRCNN,
    val: Dataset,
    settings: RunSettings,
    *,
    device: torch.device,
    quiet: bool,
) -> TrainingResult:
    """The result with the scores of its weights, which are written too, unless the run was stopped."""
    if not result.finished:
        return result
    if "heads" in settings.train.layers:
        size = settings.data.batch_size
        report = finish_run(result.weights, val, model=model, device=device, batch_size=size, quiet=quiet)
        return replace(result, scores=report.to_dict(), report=report)
    scores = {"recall": result.scores["proposals"]}
    write_scores(result.weights.parent, scores)
    return replace(result, scores=scores)


def without_proposing(settings: RunSettings) -> RunSettings:
    """The settings of a run on proposals from a file, on which the region proposal network is not trained."""
    layers = tuple(layer for layer in settings.train.layers if layer != "rpn")
    if "heads" not in layers:
        raise SettingError(
            f"train.layers={','.join(settings.train.layers)}: on proposals from a file the heads are trained, but they "
            "are not among these layers. Leave out proposals (--proposals), or train.layers."
        )
    return settings.changed({"train.layers": layers})


def _with_proposals(data: TrainingData, source: DataArguments, settings: RunSettings) -> TrainingData:
    assert source.proposals is not None
    if not data.held_out and source.val_proposals is None:
        raise SettingError(
            f"{source.proposals}: has the proposals of {data.train.source}, but the validation data are "
            f"{data.val.source}. Give val_proposals (--val-proposals)."
        )
    return data.with_proposals(source.proposals, source.val_proposals or source.proposals, settings.rpn)


def _settings_of(folder: Path, *changes: Changes) -> RunSettings:
    """The settings of the run in a folder, with changes."""
    if is_alternating(folder):
        if any(changes):
            raise SettingError(
                f"{folder}: an alternating training goes on under its own settings. Leave out all others."
            )
        return alternating_settings(folder)
    return load_checkpoint(folder / CHECKPOINT_NAME).settings.changed(*changes)


def _refuse_contradictions(given: Mapping[str, Any]) -> None:
    if given["data"] is None and not (given["resume"] and given["output"]):
        raise SettingError(
            "Give the data, a dataset's file or folder (--data); or resume (--resume) the run in a folder (--output)."
        )
    if given["alternating"] and given["proposals"]:
        raise SettingError("alternating (--alternating): makes its own proposals. Leave out one of the two.")
    if given["val_proposals"] and not given["proposals"]:
        raise SettingError("val_proposals (--val-proposals): needs proposals (--proposals) too. Give both, or neither.")
    if given["resume"] and any(given[name] for name in ("weights", "preset")):
        raise SettingError(
            "resume (--resume): goes on with the run's own weights and model. Leave out weights and preset; settings "
            "such as train.steps=4000 may be given."
        )
    if given["model"] is not None and any(given[name] for name in ("weights", "preset", "alternating")):
        raise SettingError("model: brings its own weights and settings. Leave out weights, preset and alternating.")


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
