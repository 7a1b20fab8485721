"""What a finished training run is worth: scores of its weights, curves, a sheet of pictures, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from .progress import PictureBar

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from ..data.records import CocoData, Record
    from ..predict.predictor import Predictor

REPORT_NAME = "scores.json"
CURVES_NAME = "curves.png"
SHEET_NAME = "sheet.png"
MOST_SHOWN = 8


def write_outcome(folder: Path, weights: Path, judged: CocoData, *, device: torch.device, batch: int) -> dict[str, Any]:
    """Score weights as they will be used, and write `scores.json`, `curves.png` and `sheet.png` into the run's folder.

    Args:
        folder: Of the run.
        weights: File of the weights.
        judged: Pictures the run has not learnt from.
        device, batch: For the predictions.

    Returns:
        The scores; see `evaluation_report`.
    """
    from ..draw.curves import draw_curves
    from ..evaluate.report import write_report
    from ..predict.evaluation import evaluate_predictor
    from ..predict.predictor import Predictor
    from ..training.log import LOG_NAME

    predictor = Predictor(weights, device=device)
    with PictureBar("scoring", len(judged.records)) as bar:
        report = evaluate_predictor(predictor, judged, batch=batch, on_progress=bar.advance).report
    write_report(folder / REPORT_NAME, report)
    draw_curves(folder / LOG_NAME, folder / CURVES_NAME)
    _write_sheet(folder / SHEET_NAME, predictor, judged)
    return report


def write_recall(folder: Path, recall: Mapping[str, float]) -> Table:
    """Write `scores.json` and `curves.png` of a run that learnt proposals only, and give the scores as a table."""
    from ..draw.curves import draw_curves
    from ..evaluate.recall import recall_table
    from ..evaluate.report import write_report
    from ..training.log import LOG_NAME

    write_report(folder / REPORT_NAME, {"recall": dict(recall)})
    draw_curves(folder / LOG_NAME, folder / CURVES_NAME)
    return recall_table(recall)


def shown_records(records: list[Record]) -> list[Record]:
    """Up to eight pictures from all over a data set, those with objects first."""
    with_objects = [record for record in records if len(record.instances)]
    chosen = with_objects or records
    step = max(1, len(chosen) // MOST_SHOWN)
    return chosen[::step][:MOST_SHOWN]


def data_words(data: Path, images: Path | None, form: str | None = None) -> list[str]:
    """The words of a command that name a data set."""
    more = {"--images": images, "--format": form}
    return ["--data", str(data), *(word for name, value in more.items() if value for word in (name, str(value)))]


def evaluate_command(weights: Path, data: list[str], proposals: Path | None = None) -> str:
    """The command that scores weights on a data set (`data_words`), on proposals of a file if there is one."""
    more = [] if proposals is None else ["--proposals", str(proposals)]
    return shlex.join(["maskrcnn", "evaluate", *data, "--weights", str(weights), *more])


def propose_command(weights: Path, data: list[str]) -> str:
    """The command that writes the proposals of weights, and scores them on a data set (`data_words`)."""
    return shlex.join(["maskrcnn", "propose", *data, "--weights", str(weights)])


def predict_command(weights: Path, pictures: Path, output: Path) -> str:
    """The command that finds objects in pictures."""
    return shlex.join(["maskrcnn", "predict", str(pictures), "--weights", str(weights), "--output", str(output)])


def print_outcome(console: Console, folder: Path, report: dict[str, Any]) -> None:
    """Print the scores of a run, and where its curves and its sheet are."""
    from ..evaluate.report import report_tables

    Console().print(report_tables(report))
    console.print(f"Curves: {folder / CURVES_NAME}; annotated beside predicted: {folder / SHEET_NAME}", highlight=False)


def print_commands(console: Console, commands: dict[str, str]) -> None:
    """Print commands to copy, each below what it is for."""
    for words, command in commands.items():
        console.print(f"{words}:\n  {command}", soft_wrap=True, highlight=False, markup=False)


def _write_sheet(path: Path, predictor: Predictor, judged: CocoData) -> None:
    from ..data.loading import evaluation_batches, read_record
    from ..draw.pictures import write_picture
    from ..draw.sheet import Row, draw_sheet

    records = shown_records(judged.records)
    found = {
        image_id: instances
        for batch in evaluation_batches(records, predictor.settings.input, workers=0)
        for image_id, instances in zip(batch.image_ids, predictor.predict_batch(batch), strict=True)
    }
    rows = [Row(read_record(record), record.instances, found[record.image_id]) for record in records]
    write_picture(path, draw_sheet(rows, judged.classes))
