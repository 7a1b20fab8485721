"""The scores of an evaluation as one JSON file and as tables for people."""

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ..ops.atomic import replacing
from .accuracy import instance_accuracy
from .annotations import Annotations, load_annotations
from .coco import KINDS, evaluate_coco
from .results import Kind, checked_results
from .text_report import text_table

TITLES: dict[Kind, str] = {"bbox": "boxes", "segm": "masks", "keypoints": "keypoints"}
MOST_CLASSES = 100
LIBRARIES = ("torch", "torchvision", "faster-coco-eval", "numpy")


def evaluation_report(
    annotations: Annotations | dict | Path | str,
    results: Sequence[dict] | Path | str,
    *,
    max_detections: int,
    score_threshold: float,
    kinds: Sequence[Kind] = KINDS,
) -> dict[str, Any]:
    """Score predictions in every way the library knows.

    Args:
        annotations: COCO file or its content.
        results: COCO results file or its records.
        max_detections: Most detections per picture and class that count for average precision.
        score_threshold: Predictions with at least this score count for accuracy.
        kinds: What is scored: "bbox", "segm", "keypoints"; accuracy is of masks, and left out without "segm".

    Returns:
        What the JSON file holds: `bbox` and `segm` with the twelve numbers as fractions (-1: nothing to find) and AP
        `per_class`, and `keypoints` with its ten; `accuracy` by mask IoU; how it was measured; counts of pictures,
        objects and predictions; versions.
    """
    truth = load_annotations(annotations)
    records = checked_results(results, truth)
    scores = evaluate_coco(truth, records, max_detections=max_detections, kinds=kinds)
    report: dict[str, Any] = {kind: {**found.numbers, "per_class": found.per_class} for kind, found in scores.items()}
    if "segm" in kinds:
        accuracy = instance_accuracy(truth, records, score_threshold=score_threshold)
        report["accuracy"] = {f"{iou:g}": fraction for iou, fraction in accuracy.items()}
        report["accuracy_score_threshold"] = score_threshold
    return report | {
        "max_detections": max_detections,
        "protocol": f"COCO AP and AR at IoU 0.50:0.05:0.95, at most {max_detections} detections per picture and class; "
        "accuracy TP / (TP + FP + FN) of masks pooled over pictures, one-to-one matching",
        "annotations": truth.source,
        "pictures": len(truth.sizes),
        "objects": len(truth.objects),
        "predictions": len(records),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, whole or not at all; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def report_tables(report: Mapping[str, Any]) -> Group:
    """The report for the terminal: the numbers of boxes, masks and keypoints, classes (up to 100), accuracy.

    Args:
        report: What `evaluation_report` returns; with `text` of `text_report` if there is such a key.
    """
    kinds = [kind for kind in TITLES if kind in report]
    counts = f"{report['pictures']} pictures, {report['objects']} objects, {report['predictions']} predictions"
    parts: list[RenderableType] = [
        Text(f"{report['annotations']}: {counts}", style="bold"),
        Text(f"COCO's numbers in percent; at most {report['max_detections']} detections per picture and class"),
        _numbers_table(report, kinds),
    ]
    if 1 < max(len(report[kind]["per_class"]) for kind in kinds) <= MOST_CLASSES:
        parts += [Text("AP by class"), _classes_table(report, kinds)]
    if "accuracy" in report:
        least = f"{report['accuracy_score_threshold']:g}"
        parts += [Text(f"Accuracy TP / (TP + FP + FN) of masks with a score of at least {least}")]
        parts += [_accuracy_table(report["accuracy"])]
    if "text" in report:
        parts += [Text("Detected text; words and found polygons fit above an IoU of 0.5"), text_table(report["text"])]
    return Group(*parts)


def _numbers_table(report: Mapping[str, Any], kinds: Sequence[Kind]) -> Table:
    table = Table("", *[Column(TITLES[kind], justify="right") for kind in kinds])
    for name in dict.fromkeys(name for kind in kinds for name in report[kind]):
        if name != "per_class":
            row = [_percent(report[kind].get(name, -1)) for kind in kinds]
            table.add_row(name, *row, style="bold" if name == "AP" else None)
    return table


def _classes_table(report: Mapping[str, Any], kinds: Sequence[Kind]) -> Table:
    table = Table("class", *[Column(TITLES[kind], justify="right") for kind in kinds])
    for name in report[kinds[0]]["per_class"]:
        table.add_row(Text(name), *[_percent(report[kind]["per_class"][name]["AP"]) for kind in kinds])
    return table


def _accuracy_table(accuracy: Mapping[str, float]) -> Table:
    table = Table("IoU above", *[Column(iou, justify="right") for iou in accuracy])
    table.add_row("", *map(_percent, accuracy.values()))
    return table


def _percent(fraction: float) -> str:
    return "-" if fraction < 0 else f"{100 * fraction:.1f}"
