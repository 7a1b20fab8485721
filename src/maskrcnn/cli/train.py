"""`maskrcnn train`: a model for a data set of one's own, from COCO's weights, others or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..config import RunSettings
from ..errors import SettingError
from .beginning import Beginning, build_start, choose_beginning
from .outcome import (
    CURVES_NAME,
    SHEET_NAME,
    evaluate_command,
    predict_command,
    print_commands,
    write_outcome,
)
from .overrides import change_settings, settings_of_preset
from .plan import data_remarks, fallback_panel, plan_table
from .run_folder import DataArguments, check_folder, default_folder, load_data_arguments, resume_command
from .settings import ConfigFile, Overrides, Preset

if TYPE_CHECKING:
    import torch

    from ..data.readers.coco_folders import CocoFiles
    from ..train.coco import TrainingData


def train(
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="JSON_OR_DIR", help="COCO file, or a data set's folder.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if not beside the file.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            "--val", metavar="JSON_OR_DIR", help="Data to judge by; none: the folder's own, or a part held out."
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
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
) -> None:
    """Train on a data set in COCO's format.

    The folder gets the weights to predict with (`best.safetensors`), the log, the scores, curves and pictures. A run
    that was stopped, by Ctrl-C or by a power cut, goes on with `--resume`.
    """
    from ..ops.devices import choose_device

    if data is None and not (resume and output):
        raise SettingError("Give --data, a COCO file or a folder; or --resume and the run's folder as --output.")
    folder = output or default_folder(data or Path())
    check_folder(folder, resume=resume)
    place = choose_device(device)
    if resume:
        if overrides or config or weights or preset:
            raise SettingError("--resume goes on with the run's own settings and weights. Leave out all others.")
        arguments = load_data_arguments(folder) if data is None else _arguments(data, images, val, skip_invalid)
        beginning = Beginning(_settings_of(folder), None)
        found = _read(arguments, beginning.settings)
    else:
        arguments = _arguments(data or Path(), images, val, skip_invalid)
        # Before the weights, which may have to be fetched; they bring settings of the model only.
        found = _read(arguments, change_settings(settings_of_preset(preset), overrides or [], config))
        beginning = choose_beginning(weights, overrides or [], config, preset)
    _train(folder, arguments, found, beginning, device=place, resume=resume)


def _arguments(data: Path, images: Path | None, val: Path | None, skip_invalid: bool) -> DataArguments:
    images, val = (None if path is None else path.resolve() for path in (images, val))
    return DataArguments(data.resolve(), images, val, skip_invalid)


def _settings_of(folder: Path) -> RunSettings:
    from ..train.checkpoint import CHECKPOINT_NAME, load_checkpoint

    return load_checkpoint(folder / CHECKPOINT_NAME).settings


def _read(arguments: DataArguments, settings: RunSettings) -> TrainingData:
    from ..train.coco import read_training_data

    return read_training_data(
        arguments.data, settings, images=arguments.images, val=arguments.val, skip_invalid=arguments.skip_invalid
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
    from ..train.coco import train_on_coco
    from ..train.settings import with_stuff

    console = Console(stderr=True)
    if beginning.warning:
        console.print(fallback_panel(beginning.warning))
    settings = with_stuff(beginning.settings, data.learnt.classes)
    model, origin = build_start(beginning._replace(settings=settings), data.learnt.classes)
    arguments.save(folder)
    console.print(plan_table(folder, data, settings, device=device, origin="the run's own" if resume else origin))
    console.print(*data_remarks(data), sep="\n")
    result = train_on_coco(model, data, settings, folder=folder, device=device, resume=resume, quiet=False)
    if result.finished:
        report = write_outcome(folder, result.weights, data.judged, device=device, batch=settings.data.batch)
        _show_outcome(console, folder, result.weights, report, _judged_files(folder, arguments, data))
    else:
        print_commands(console, {"Go on": resume_command(folder)})


def _judged_files(folder: Path, arguments: DataArguments, data: TrainingData) -> CocoFiles:
    """Where the pictures lie that the run was judged by, and the file that lists them."""
    from ..data.readers.coco_folders import CocoFiles, find_coco
    from ..train.coco import HELD_OUT_NAME

    if data.held_out:
        images = find_coco(arguments.data, "train", images=arguments.images).images
        return CocoFiles(folder / HELD_OUT_NAME, images)
    return find_coco(arguments.val or arguments.data, "val", images=arguments.images)


def _show_outcome(console: Console, folder: Path, weights: Path, report: dict[str, Any], files: CocoFiles) -> None:
    from ..evaluate.report import report_tables

    Console().print(report_tables(report))
    console.print(f"Curves: {folder / CURVES_NAME}; annotated beside predicted: {folder / SHEET_NAME}", highlight=False)
    print_commands(
        console,
        {
            "Find objects in pictures": predict_command(weights, files.images, folder / "predictions"),
            "Score the weights again": evaluate_command(weights, files.annotations, files.images),
        },
    )
