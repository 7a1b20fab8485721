"""What a finished run leaves: scores of its weights as they will be used, curves, and a sheet of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ..data.dataset import Dataset, Record
from ..data.loading import evaluation_scales, read_record
from ..draw.curves import draw_curves
from ..draw.images import write_image
from ..draw.sheet import Row, draw_sheet
from ..evaluation.report import Report, write_report
from ..model.mask_rcnn import MaskRCNN
from ..predict.evaluation import evaluate
from ..predict.predictor import Predictor
from ..progress import ImageBar
from .run_folder import CURVES_NAME, LOG_NAME, SCORES_NAME, SHEET_NAME

MOST_SHOWN = 8


def finish_run(
    weights: Path,
    data: Dataset,
    *,
    model: MaskRCNN | None = None,
    device: torch.device,
    batch_size: int,
    quiet: bool = False,
) -> Report:
    """Score weights, and write `scores.json`, `curves.png` and `sheet.png` beside them.

    Args:
        weights: File of the weights, in the run's folder.
        data: Images the run was not trained on.
        model: The network, as for `Predictor`.
        device, batch_size: For the predictions.
        quiet: Show nothing on the screen.

    Returns:
        The scores.
    """
    folder, predictor = weights.parent, Predictor(weights, model=model, device=device)
    with ImageBar("scoring", len(data.records), Console(stderr=True, quiet=quiet)) as bar:
        report = evaluate(predictor, data, batch_size=batch_size, on_progress=bar.advance)
    write_scores(folder, report.to_dict())
    _write_sheet(folder / SHEET_NAME, predictor, data)
    return report


def write_scores(folder: Path, report: dict[str, Any]) -> None:
    """Write `scores.json` and `curves.png` into a run's folder."""
    write_report(folder / SCORES_NAME, report)
    draw_curves(folder / LOG_NAME, folder / CURVES_NAME)


def shown_records(records: list[Record]) -> list[Record]:
    """Up to eight images from all over a dataset, those with objects first."""
    with_objects = [record for record in records if len(record.instances)]
    chosen = with_objects or records
    step = max(1, len(chosen) // MOST_SHOWN)
    return chosen[::step][:MOST_SHOWN]


def _write_sheet(path: Path, predictor: Predictor, data: Dataset) -> None:
    records = shown_records(data.records)
    found = {
        image_id: instances
        for scales in evaluation_scales(records, predictor.inputs, workers=0)
        for image_id, instances in zip(scales.image_ids, predictor.predict_scales(scales), strict=True)
    }
    rows = [Row(read_record(record), record.instances, found[record.image_id]) for record in records]
    write_image(path, draw_sheet(rows, data.classes))
