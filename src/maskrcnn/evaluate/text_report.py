"""Predicted masks scored as text: the polygons that each rule asks for, from COCO annotations and COCO results."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rich.table import Column, Table

from ..errors import DataError
from ..ops.polygons import trace_contours
from ..structures.masks import Crop
from ..structures.polygons import crop_polygon
from ..structures.run_lengths import counts_from_text, crop_from_counts
from .annotations import Annotations, load_annotations
from .results import checked_results
from .segmentations import Size, run_lengths
from .text import MMOCR_THRESHOLDS, TextPicture, best_threshold, ctw1500_score, icdar2015_score, mmocr_scores

RULES = {"mmocr": "MMOCR", "icdar2015": "ICDAR 2015", "ctw1500": "CTW1500, none ignored"}

Outlines = Callable[[Crop], list[np.ndarray]]
"""The polygons that a rule makes of a mask."""


def text_report(
    annotations: Annotations | dict | Path | str, results: Sequence[dict] | Path | str, *, score_threshold: float
) -> dict[str, dict[str, Any]]:
    """Precision, recall and harmonic mean of detected text by each of the three rules in `evaluate.text`.

    Each rule gets the polygons it is about: MMOCR's the contours that MMOCR makes of masks, ICDAR 2015's a rectangle at
    any angle around each mask, CTW1500's the outline of each mask. Crowds are the words that cannot be read. All
    classes are text.

    Args:
        annotations: COCO file or its content. Where an annotation has run lengths and a `polygon` (x and y in turn),
            the polygon counts.
        results: COCO results file or its records; where a record has no mask, its box is the polygon.
        score_threshold: Found texts with at least this score count by the two rules that have no threshold.

    Returns:
        By rule (mmocr, icdar2015, ctw1500): `precision`, `recall`, `hmean`, `polygons` (what was made of the masks),
        `score_threshold` and whether it was `searched` on these pictures; of mmocr also `by_threshold`.
    """
    truth = load_annotations(annotations)
    records = checked_results(results, truth)
    searched = mmocr_scores(_pictures(truth, records, min(MMOCR_THRESHOLDS), _contours))
    best = best_threshold(searched)
    own = {"score_threshold": score_threshold, "searched": False}
    return {
        "mmocr": {
            **searched[best]._asdict(),
            "polygons": "contours",
            "score_threshold": round(best, 1),
            "searched": True,
            "by_threshold": {f"{threshold:.1f}": score._asdict() for threshold, score in searched.items()},
        },
        "icdar2015": {
            **icdar2015_score(_pictures(truth, records, score_threshold, _rectangle))._asdict(),
            "polygons": "rectangles",
            **own,
        },
        "ctw1500": {
            **ctw1500_score(_pictures(truth, records, score_threshold, _outline))._asdict(),
            "polygons": "outlines",
            **own,
        },
    }


def text_table(report: Mapping[str, Mapping[str, Any]]) -> Table:
    """The report for the terminal, in percent, a line for each rule.

    Args:
        report: What `text_report` returns.
    """
    names = ("precision", "recall", "hmean")
    table = Table("rule", "masks as", "score from", *[Column(name, justify="right") for name in names])
    for rule, found in report.items():
        least = f"{found['score_threshold']:g}" + (", best" if found["searched"] else "")
        table.add_row(RULES[rule], found["polygons"], least, *[f"{100 * found[name]:.1f}" for name in names])
    return table


def _pictures(truth: Annotations, records: Sequence[dict], least: float, outlines: Outlines) -> list[TextPicture]:
    """The pictures with their words, and polygons of the predictions that have at least a score."""
    words, found = defaultdict(list), defaultdict(list)
    for one in truth.objects:
        words[one["image_id"]].append((_word(truth, one), bool(one.get("iscrowd"))))
    for record in records:
        if np.float32(record["score"]) >= np.float32(least):
            for polygon in _found(record, truth.sizes[record["image_id"]], outlines):
                found[record["image_id"]].append((polygon, record["score"]))
    return [
        TextPicture(
            [polygon for polygon, _ in words[key]],
            [ignored for _, ignored in words[key]],
            [polygon for polygon, _ in found[key]],
            [score for _, score in found[key]],
        )
        for key in truth.sizes
    ]


def _word(truth: Annotations, found: dict) -> np.ndarray:
    segmentation = found.get("segmentation")
    parts = segmentation if isinstance(segmentation, list) else [found["polygon"]] if found.get("polygon") else []
    try:
        if parts:
            return _largest(parts)
        return _outline(_crop(segmentation, truth.sizes[found["image_id"]]))[0] if segmentation else _box(found)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise DataError(
            f"{truth.source}: annotation {found.get('id', '?')} of picture {found['image_id']}: its outline cannot be "
            f"used as a word's ({error}), but must be a polygon of at least 3 points x, y, run lengths, or a box. "
            "Correct the file, or take the annotation out."
        ) from error


def _found(record: dict, size: Size, outlines: Outlines) -> list[np.ndarray]:
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        return [_largest(segmentation)]
    return outlines(_crop(segmentation, size)) if segmentation else [_box(record)]


def _largest(parts: Sequence[Sequence[float]]) -> np.ndarray:
    """[V, 2] x, y of the part with the largest area."""
    polygons = [np.array(part, dtype=np.float64).reshape(-1, 2) for part in parts]
    return max(polygons, key=lambda points: shapely.Polygon(points).area)


def _box(record: dict) -> np.ndarray:
    x, y, width, height = record["bbox"]
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


def _crop(segmentation: Any, size: Size) -> Crop:
    return crop_from_counts(counts_from_text(run_lengths(segmentation, size)["counts"]), size)


def _contours(crop: Crop) -> list[np.ndarray]:
    return [points + np.array([crop.x, crop.y]) for points in trace_contours(crop.bitmap)]


def _rectangle(crop: Crop) -> list[np.ndarray]:
    polygon = crop_polygon(crop, "quad")
    return [polygon] if len(polygon) else []


def _outline(crop: Crop) -> list[np.ndarray]:
    polygon = crop_polygon(crop, "contour")
    return [polygon] if len(polygon) else []
