"""The scores of an evaluation as one JSON file and as tables for people."""

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from .. import __version__
from ..ops.atomic import replacing
from .accuracy import instance_accuracy
from .annotations import Annotations, load_annotations
from .coco import KINDS, TITLES, coco_sections
from .results import Kind, checked_results
from .sections import Say, Section, say_nothing
from .tables import section_tables
from .text_report import text_table

LIBRARIES = ("torch", "torchvision", "faster-coco-eval", "numpy", "scipy", "shapely")


def evaluation_report(
    annotations: Annotations | dict | Path | str,
    results: Sequence[dict] | Path | str,
    *,
    max_detections: int,
    score_threshold: float,
    kinds: Sequence[Kind] = KINDS,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Score predictions in every way the library knows.

    Args:
        annotations: COCO file or its content.
        results: COCO results file or its records.
        max_detections: Most detections per picture and class that count for average precision.
        score_threshold: Predictions with at least this score count for accuracy.
        kinds: What is scored: "bbox", "segm", "keypoints"; accuracy is of masks, and left out without "segm".
        say: Called with what is being scored.

    Returns:
        What the JSON file holds: `bbox` and `segm` with the twelve numbers as fractions (-1: nothing to find) and AP,
        AP50 and AP75 `per_class`, and `keypoints` with its ten; `accuracy` by mask IoU; how it was measured; counts of
        pictures, objects and predictions; versions.
    """
    truth = load_annotations(annotations)
    records = checked_results(results, truth)
    sections = coco_sections(truth, records, max_detections=max_detections, kinds=kinds, say=say)
    report = sections_report(sections)
    if "segm" in kinds:
        say("instance accuracy")
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
        "versions": library_versions(),
    }


def sections_report(sections: Sequence[Section]) -> dict[str, Any]:
    """What the JSON file holds of sections: under each one's name its numbers and those of its classes; the `rules`."""
    report: dict[str, Any] = {}
    for section in sections:
        classes = {label: dict(numbers) for label, numbers in section.per_class.items()}
        report[section.name] = {**section.numbers, **({"per_class": classes} if classes else {})}
    return {**report, "rules": {section.name: section.protocol for section in sections}}


def join_sections(report: Mapping[str, Any], sections: Sequence[Section]) -> dict[str, Any]:
    """A report with more sections."""
    more = sections_report(sections)
    return {**report, **more, "rules": {**report["rules"], **more["rules"]}}


def library_versions() -> dict[str, str]:
    """Versions of this library and of those that numbers depend on."""
    return {"maskrcnn": __version__, **{name: metadata.version(name) for name in LIBRARIES}}


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
    sections = [
        Section(kind, title, report["rules"][kind], *_numbers(report[kind]))
        for kind, title in TITLES.items()
        if kind in report
    ]
    parts: list[RenderableType] = [Text(title_of(report), style="bold"), *section_tables(sections)]
    if "accuracy" in report:
        least = f"{report['accuracy_score_threshold']:g}"
        parts += [Text(f"Accuracy TP / (TP + FP + FN) of masks with a score of at least {least}")]
        parts += [_accuracy_table(report["accuracy"])]
    if "text" in report:
        parts += [Text("Detected text; words and found polygons fit above an IoU of 0.5"), text_table(report["text"])]
    return Group(*parts)


def title_of(report: Mapping[str, Any]) -> str:
    """What was scored, and how much of it."""
    counts = [f"{report[what]} {what}" for what in ("pictures", "objects", "predictions") if what in report]
    return f"{report['annotations']}: {', '.join(counts)}"


def _numbers(written: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    return {name: value for name, value in written.items() if name != "per_class"}, written.get("per_class", {})


def _accuracy_table(accuracy: Mapping[str, float]) -> Table:
    table = Table("IoU above", *[Column(iou, justify="right") for iou in accuracy])
    table.add_row("", *map(_percent, accuracy.values()))
    return table


def _percent(fraction: float) -> str:
    return "-" if fraction < 0 else f"{100 * fraction:.1f}"
