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
from ..structures.masks import Crop, crop_polygon
from ..structures.run_lengths import counts_from_text, crop_from_counts
from .annotations import Annotations, load_annotations
from .results import checked_results
from .sections import Say, Section, say_nothing
from .segmentations import Size, run_lengths
from .text import (
    MMOCR_THRESHOLDS,
    TextPicture,
    TextScore,
    best_threshold,
    ctw1500_score,
    icdar2015_score,
    mmocr_scores,
)

SCORE_THRESHOLD = 0.5
"""From which found texts count by the rules that have no threshold, unless another is given."""
PROTOCOLS = {
    "mmocr": "MMOCR 1.0.1's hmean-iou: IoU above 0.5, found texts in ### ignored, score from 0.3, 0.4, ... 0.9",
    "icdar2015": "official script of ICDAR 2015, task 4.1: IoU above 0.5, found texts in ### ignored, whole pixels",
    "ctw1500": "official script of CTW1500: IoU above 0.5 with the line that overlaps most, no line is ignored",
}
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
    return {rule: _scored(rule, truth, records, score_threshold) for rule in RULES}


def text_sections(
    truth: Annotations,
    results: Sequence[dict],
    *,
    rules: Sequence[str] = tuple(RULES),
    score_threshold: float = SCORE_THRESHOLD,
    say: Say = say_nothing,
) -> list[Section]:
    """The scores of `text_report` as sections of a report; arguments as there.

    Args:
        rules: Those of `RULES` that are wanted.
        say: Called with what is being scored.
    """
    records = checked_results(results, truth)
    sections = []
    for rule in rules:
        say(RULES[rule])
        found = _scored(rule, truth, records, score_threshold)
        numbers = {name: found[name] for name in ("hmean", "precision", "recall")}
        protocol = f"{PROTOCOLS[rule]}; masks as {found['polygons']}; score from {found['score_threshold']:g}"
        best = ", the best of those" if found["searched"] else ""
        sections.append(Section(rule, f"text, {RULES[rule]}", protocol + best, numbers))
        by_threshold = {f"hmean at {key}": score["hmean"] for key, score in found.get("by_threshold", {}).items()}
        if by_threshold:
            title = f"text, {RULES[rule]} by score"
            sections.append(Section(f"{rule}_by_score", title, f"{PROTOCOLS[rule]}; at each of them", by_threshold))
    return sections


def _scored(rule: str, truth: Annotations, records: Sequence[dict], score_threshold: float) -> dict[str, Any]:
    if rule == "mmocr":
        searched = mmocr_scores(_pictures(truth, records, min(MMOCR_THRESHOLDS), contours_of))
        best = best_threshold(searched)
        return {
            **searched[best]._asdict(),
            "polygons": "contours",
            "score_threshold": round(best, 1),
            "searched": True,
            "by_threshold": {f"{threshold:.1f}": score._asdict() for threshold, score in searched.items()},
        }
    compute, polygons, outlines = OFFICIAL[rule]
    score = compute(_pictures(truth, records, score_threshold, outlines))
    return {**score._asdict(), "polygons": polygons, "score_threshold": score_threshold, "searched": False}


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
            for polygon in found_polygons(record, truth.sizes[record["image_id"]], outlines):
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
        return outline_of(_crop(segmentation, truth.sizes[found["image_id"]]))[0] if segmentation else _box(found)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise DataError(
            f"{truth.source}: annotation {found.get('id', '?')} of picture {found['image_id']}: its outline cannot be "
            f"used as a word's ({error}), but must be a polygon of at least 3 points x, y, run lengths, or a box. "
            "Correct the file, or take the annotation out."
        ) from error


def found_polygons(record: dict, size: Size, outlines: Outlines) -> list[np.ndarray]:
    """The polygons of a prediction by a rule: its own if it has some, else those of its mask, else its box."""
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


def contours_of(crop: Crop) -> list[np.ndarray]:
    """All contours of a mask through its pixels, as MMOCR makes them."""
    return [points + np.array([crop.x, crop.y]) for points in trace_contours(crop.bitmap)]


def rectangle_of(crop: Crop) -> list[np.ndarray]:
    """A rectangle at any angle around a mask's largest part."""
    polygon = crop_polygon(crop, "quad")
    return [polygon] if len(polygon) else []


def outline_of(crop: Crop) -> list[np.ndarray]:
    """The outline of a mask's largest part."""
    polygon = crop_polygon(crop, "contour")
    return [polygon] if len(polygon) else []


OFFICIAL: dict[str, tuple[Callable[[Sequence[TextPicture]], TextScore], str, Outlines]] = {
    "icdar2015": (icdar2015_score, "rectangles", rectangle_of),
    "ctw1500": (ctw1500_score, "outlines", outline_of),
}
"""Score, name of the polygons, and the polygons of the rules that have no threshold."""
