"""`maskrcnn train`: a model for a dataset of one's own, from COCO's weights, others or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .commands import data_words, evaluate_command, predict_command, print_commands, propose_command
from .console import show
from .datasets import DataFormat, ProposalFile
from .settings import ConfigFile, Overrides, Preset

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..evaluation.report import Report
    from ..training.loop import TrainingResult


def train(
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE_OR_DIR", help="A dataset of any known format.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if not beside the file.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option(
            "--val", metavar="FILE_OR_DIR", help="Validation data; default: the folder's own, or a part of the images."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="The run's folder; default: `runs/` and the data's name."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE_OR_NAME",
            help="Weights to start from; default: COCO's, or the preset's; `none`: random weights.",
        ),
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the folder, as it was started.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`, `mps`; default: CUDA if available."),
    ] = None,
    proposals: ProposalFile = None,
    val_proposals: Annotated[
        Path | None,
        typer.Option(
            "--val-proposals", metavar="FILE", help="The same for the validation data, if they are in another file."
        ),
    ] = None,
    alternating: Annotated[
        bool, typer.Option("--alternating", help="In four steps: proposals, heads, proposals, heads (Ren et al. 2015).")
    ] = False,
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    form: DataFormat = None,
) -> None:
    """Train on a dataset: COCO, YOLO, LabelMe, CVAT, VIA, Pascal VOC, folders of masks and others.

    The folder gets the weights for prediction (`best.safetensors`), the log, scores, curves and images. A run that was
    stopped, by Ctrl-C or a power cut, continues with `--resume`; an alternating one also with the same command.
    """
    from ..training.run_folder import resume_command
    from ..training.train import train as run_training

    result = run_training(
        data,
        output=output,
        val=val,
        images=images,
        form=form,
        skip_invalid=skip_invalid,
        weights=weights,
        preset=preset,
        settings=overrides,
        config=config,
        device=device,
        resume=resume,
        proposals=proposals,
        val_proposals=val_proposals,
        alternating=alternating,
    )
    console = Console(stderr=True)
    if not result.finished or result.val is None:
        print_commands(console, {"Go on": resume_command(result.folder)})
    elif result.report is None:
        _print_recall(console, result, result.val)
    else:
        _print_scores(console, result, result.val, result.report)


def _print_recall(console: Console, result: TrainingResult, val: Dataset) -> None:
    from ..evaluation.recall import recall_table

    show(recall_table(result.scores["recall"]))
    print_commands(console, {"Write proposals": propose_command(result.weights, _val_words(result.folder, val))})


def _print_scores(console: Console, result: TrainingResult, val: Dataset, report: Report) -> None:
    """The scores of a run, where its curves and its sheet are, and what to do next."""
    from ..data.dataset import common_folder
    from ..training.run_folder import CURVES_NAME, SHEET_NAME, load_data_arguments

    folder, source = result.folder, load_data_arguments(result.folder)
    show(report.table())
    console.print(f"Curves: {folder / CURVES_NAME}; annotated beside predicted: {folder / SHEET_NAME}", highlight=False)
    proposals = source.val_proposals or source.proposals
    commands = {"Score the weights again": evaluate_command(result.weights, _val_words(folder, val), proposals)}
    if proposals is None:  # with them a model finds nothing in images alone
        predict = predict_command(result.weights, common_folder(val.records), folder / "predictions")
        commands = {"Find objects in images": predict} | commands
    print_commands(console, commands)


def _val_words(folder: Path, val: Dataset) -> list[str]:
    """The words of a command that name a run's validation data."""
    from ..data.formats import split_meant
    from ..training.run_folder import HELD_OUT_NAME, load_data_arguments

    if (folder / HELD_OUT_NAME).exists():
        return data_words(folder / HELD_OUT_NAME, val.images)
    source = load_data_arguments(folder)
    path = source.val or source.data
    assert isinstance(path, Path), "the command line has no datasets in memory"
    split = split_meant(path, "val", form=source.form)
    words = data_words(path, source.images, source.form)
    return words if split == "val" else [*words, "--split", split]
