"""`maskrcnn train`: a model for a dataset of one's own, from COCO's weights, others or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..data.confinement import allows_outside
from . import options
from .commands import data_words, evaluate_command, predict_command, print_commands, propose_command
from .console import INTERRUPTED, say, show

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..evaluation.report import Report
    from ..training.loop import TrainingResult


def train(
    overrides: options.Overrides = None,
    data: options.OptionalData = None,
    images: options.Images = None,
    val: options.Validation = None,
    form: options.DataFormat = None,
    skip_invalid: options.SkipInvalid = False,
    allow_outside: options.AllowOutside = False,
    proposals: options.ProposalFile = None,
    val_proposals: Annotated[
        Path | None,
        options.data_option(
            "--val-proposals", metavar="FILE", help="The same for the validation data, if they are in another file."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        options.model_option(
            "--weights",
            metavar="FILE_OR_NAME",
            help="Weights to start from; default: COCO's, or the preset's; `none`: random weights.",
        ),
    ] = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    device: options.Device = None,
    alternating: Annotated[
        bool,
        options.model_option(
            "--alternating", help="In four steps: proposals, heads, proposals, heads (Ren et al. 2015)."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        options.output_option(
            "--output", metavar="DIR", help="The run's folder; default: `runs/` and the data's name."
        ),
    ] = None,
    resume: Annotated[
        bool,
        options.output_option(
            "--resume", help="Continue the run in the folder; settings such as `train.steps=4000` may change."
        ),
    ] = False,
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
    if not result.finished or result.val is None:
        outside = " --allow-outside" if allows_outside() else ""
        print_commands({"Go on": resume_command(result.folder) + outside})
        raise typer.Exit(INTERRUPTED)
    if result.report is None:
        _print_recall(result, result.val)
    else:
        _print_scores(result, result.val, result.report)


def _print_recall(result: TrainingResult, val: Dataset) -> None:
    from ..evaluation.recall import recall_table

    show(recall_table(result.scores["recall"]))
    print_commands({"Write proposals": propose_command(result.weights, _val_words(result.folder, val))})


def _print_scores(result: TrainingResult, val: Dataset, report: Report) -> None:
    """The scores of a run, where its curves and its sheet are, and what to do next."""
    from ..data.dataset import common_folder
    from ..training.run_folder import CURVES_NAME, SHEET_NAME, load_data_arguments

    folder, source = result.folder, load_data_arguments(result.folder)
    show(report.table())
    say(f"Curves: {folder / CURVES_NAME}; annotated beside predicted: {folder / SHEET_NAME}")
    proposals = source.val_proposals or source.proposals
    commands = {"Score the weights again": evaluate_command(result.weights, _val_words(folder, val), proposals)}
    if proposals is None:  # with them a model finds nothing in images alone
        predict = predict_command(result.weights, common_folder(val.records), folder / "predictions")
        commands = {"Find objects in images": predict} | commands
    print_commands(commands)


def _val_words(folder: Path, val: Dataset) -> list[str]:
    """The words of a command that name the validation data of a run."""
    from ..data.formats import split_meant
    from ..training.run_folder import HELD_OUT_NAME, load_data_arguments

    if (folder / HELD_OUT_NAME).exists():
        return data_words(folder / HELD_OUT_NAME, val.images)
    source = load_data_arguments(folder)
    path = source.val or source.data
    assert isinstance(path, Path), "the command line has no datasets in memory"
    split = split_meant(path, "val", form=source.form)
    words = data_words(path, source.images, source.form, skip_invalid=source.skip_invalid)
    return words if split == "val" else [*words, "--split", split]
