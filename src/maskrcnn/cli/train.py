"""`maskrcnn train`: a model for a data set of one's own, from COCO's weights, others or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..config import RunSettings
from ..errors import SettingError
from .beginning import Beginning, build_start, choose_beginning
from .data_sets import DataFormat
from .outcome import (
    data_words,
    evaluate_command,
    predict_command,
    print_commands,
    print_outcome,
    propose_command,
    write_outcome,
    write_recall,
)
from .overrides import change_settings, settings_of_preset
from .plan import data_remarks, fallback_panel, plan_table
from .progress import PictureBar, waiting
from .proposals import ProposalFile, join_file
from .run_folder import DataArguments, check_folder, default_folder, load_data_arguments, resume_command
from .settings import ConfigFile, Overrides, Preset

if TYPE_CHECKING:
    import torch

    from ..model.mask_rcnn import MaskRCNN
    from ..training.dataset import TrainingData
    from ..training.loop import TrainingResult


def train(
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE_OR_DIR", help="A data set of any known format.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if not beside the file.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            "--val", metavar="FILE_OR_DIR", help="Data to judge by; none: the folder's own, or a part held out."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="The run's folder; none: `runs/` and the data's name."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE_OR_NAME",
            help="What to start from; none given: COCO's, or the preset's; `none`: random weights.",
        ),
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, as it was started.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`, `mps`; CUDA where it is.")
    ] = None,
    proposals: ProposalFile = None,
    val_proposals: Annotated[
        Path | None,
        typer.Option("--val-proposals", metavar="FILE", help="The same of the data to judge by, if they are others."),
    ] = None,
    alternating: Annotated[
        bool, typer.Option("--alternating", help="In four steps: proposals, heads, proposals, heads (Ren et al. 2015).")
    ] = False,
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    form: DataFormat = None,
) -> None:
    """Train on a data set: COCO, YOLO, LabelMe, CVAT, VIA, Pascal VOC, folders of masks and others.

    The folder gets the weights to predict with (`best.safetensors`), the log, the scores, curves and pictures. A run
    that was stopped, by Ctrl-C or by a power cut, goes on with `--resume`; an alternating one also by the same command.
    """
    from ..ops.devices import choose_device

    if data is None and not (resume and output):
        raise SettingError("Give --data, a data set's file or folder; or --resume and the run's folder as --output.")
    if (alternating and proposals) or (val_proposals and not proposals):
        raise SettingError("--alternating makes its own proposals, and --val-proposals goes with --proposals.")
    folder = output or default_folder(data or Path())
    check_folder(folder, resume=resume, alternating=alternating)
    place = choose_device(device)
    given = None
    if data is not None:
        paths = {"images": images, "val": val, "proposals": proposals, "val_proposals": val_proposals}
        given = _arguments(data, paths, skip_invalid=skip_invalid, alternating=alternating, form=form)
    if resume:
        if overrides or config or weights or preset:
            raise SettingError("--resume goes on with the run's own settings and weights. Leave out all others.")
        arguments = given or load_data_arguments(folder)
        beginning = Beginning(_settings_of(folder), None)
        found = _read(arguments, beginning.settings)
    else:
        assert given is not None
        arguments = given
        # Before the weights, which may have to be fetched; they bring settings of the model only.
        found = _read(arguments, change_settings(settings_of_preset(preset), overrides or [], config))
        beginning = choose_beginning(weights, overrides or [], config, preset)
    _train(folder, arguments, found, beginning, device=place, resume=resume)


def _arguments(
    data: Path, paths: dict[str, Path | None], *, skip_invalid: bool, alternating: bool, form: str | None
) -> DataArguments:
    absolute = {name: None if path is None else path.resolve() for name, path in paths.items()}
    return DataArguments(data.resolve(), **absolute, skip_invalid=skip_invalid, alternating=alternating, form=form)


def _settings_of(folder: Path) -> RunSettings:
    from ..training.alternating import alternating_settings, is_alternating
    from ..training.checkpoint import CHECKPOINT_NAME, load_checkpoint

    if is_alternating(folder):
        return alternating_settings(folder)
    return load_checkpoint(folder / CHECKPOINT_NAME).settings


def _read(arguments: DataArguments, settings: RunSettings) -> TrainingData:
    from ..training.dataset import read_training_data

    with waiting(f"reading {arguments.data}"):
        return read_training_data(
            arguments.data,
            settings,
            images=arguments.images,
            val=arguments.val,
            skip_invalid=arguments.skip_invalid,
            form=arguments.form,
        )


def _train(
    folder: Path,
    arguments: DataArguments,
    data: TrainingData,
    beginning: Beginning,
    *,
    device: torch.device,
    resume: bool,
) -> None:
    from ..training.settings import with_stuff

    console = Console(stderr=True)
    if beginning.warning:
        console.print(fallback_panel(beginning.warning))
    settings = with_stuff(beginning.settings, data.learnt.classes)
    if arguments.proposals is not None:
        settings = without_proposing(settings)
        data = _with_proposals(data, arguments, settings)
    model, origin = build_start(beginning._replace(settings=settings), data.learnt.classes)
    arguments.save(folder)
    console.print(plan_table(folder, data, settings, device=device, origin="the run's own" if resume else origin))
    console.print(*data_remarks(data), sep="\n")
    result = _run(model, data, settings, folder, device=device, resume=resume, alternating=arguments.alternating)
    if not result.finished:
        print_commands(console, {"Go on": resume_command(folder)})
        return
    judged_on = _judged_on(folder, arguments, data)
    if "heads" in settings.train.parts:
        report = write_outcome(folder, result.weights, data.judged, device=device, batch=settings.data.batch)
        proposals = arguments.val_proposals or arguments.proposals
        print_outcome(console, folder, report)
        print_commands(console, _next_commands(folder, result.weights, data, judged_on, proposals))
    else:
        Console().print(write_recall(folder, result.scores["proposals"]))
        print_commands(console, {"Write proposals": propose_command(result.weights, judged_on)})


def without_proposing(settings: RunSettings) -> RunSettings:
    """The settings of a run on proposals from a file, from which the region proposal network learns nothing."""
    parts = tuple(part for part in settings.train.parts if part != "rpn")
    if "heads" not in parts:
        raise SettingError(
            f"train.parts={','.join(settings.train.parts)}: on proposals from a file the heads learn, but they are not "
            "among these parts. Leave out --proposals, or train.parts."
        )
    return settings.model_copy(update={"train": settings.train.model_copy(update={"parts": parts})})


def _with_proposals(data: TrainingData, arguments: DataArguments, settings: RunSettings) -> TrainingData:
    assert arguments.proposals is not None
    if not data.held_out and arguments.val_proposals is None:
        raise SettingError(
            f"{arguments.proposals}: has the proposals of {data.learnt.source}, but the run is judged by "
            f"{data.judged.source}. Give the proposals of that with --val-proposals."
        )
    rpn = settings.model.rpn
    learnt = join_file(arguments.proposals, data.learnt, most=rpn.proposals_training)
    judged = join_file(arguments.val_proposals or arguments.proposals, data.judged, most=rpn.proposals)
    return replace(data, learnt=learnt, judged=judged)


def _run(
    model: MaskRCNN,
    data: TrainingData,
    settings: RunSettings,
    folder: Path,
    *,
    device: torch.device,
    resume: bool,
    alternating: bool,
) -> TrainingResult:
    from ..training.alternating import train_alternating
    from ..training.dataset import train_on_coco

    if not alternating:
        return train_on_coco(model, data, settings, folder=folder, device=device, resume=resume, quiet=False)
    return train_alternating(model, data, settings, folder=folder, device=device, quiet=False, announce=_count_pictures)


@contextmanager
def _count_pictures(words: str, pictures: int) -> Iterator[Callable[[int], None]]:
    with PictureBar(words, pictures) as bar:
        yield bar.advance


def _judged_on(folder: Path, arguments: DataArguments, data: TrainingData) -> list[str]:
    """The words of a command that name the data the run was judged by."""
    from ..data.formats import split_meant
    from ..training.dataset import HELD_OUT_NAME

    if data.held_out:
        return data_words(folder / HELD_OUT_NAME, data.judged.images)
    path = arguments.val or arguments.data
    split = split_meant(path, "val", form=arguments.form)
    words = data_words(path, arguments.images, arguments.form)
    return words if split == "val" else [*words, "--split", split]


def _next_commands(
    folder: Path, weights: Path, data: TrainingData, judged_on: list[str], proposals: Path | None
) -> dict[str, str]:
    from ..data.records import common_folder

    score = {"Score the weights again": evaluate_command(weights, judged_on, proposals)}
    if proposals is not None:  # such a model finds nothing without them
        return score
    pictures = common_folder(data.judged.records)
    return {"Find objects in pictures": predict_command(weights, pictures, folder / "predictions"), **score}
