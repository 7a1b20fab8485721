"""Predicted masks scored as text: the polygons that each rule asks for, from COCO annotations and COCO results."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import shapely

from ..config import SCORE_THRESHOLD
from ..errors import DataError
from ..ops.contours import trace_contours
from ..structures.masks import Crop, crop_polygon
from .annotations import Annotations, rle, rle_crop
from .results import Results
from .sections import Say, Section, say_nothing
from .text import MMOCR_THRESHOLDS, TextImage, TextScore, best_threshold, ctw1500_score, icdar2015_score, mmocr_scores

PROTOCOLS = {
    "mmocr": "MMOCR 1.0.1's hmean-iou: IoU above 0.5, found texts in ### ignored, score from 0.3, 0.4, ... 0.9",
    "icdar2015": "official script of ICDAR 2015, task 4.1: IoU above 0.5, found texts in ### ignored, whole pixels",
    "ctw1500": "official script of CTW1500: IoU above 0.5 with the line that overlaps most, no line is ignored",
}
RULES = {"mmocr": "MMOCR", "icdar2015": "ICDAR 2015", "ctw1500": "CTW1500, none ignored"}
Polygons = Callable[[Crop], list[np.ndarray]]
"""The polygons that a rule makes of a mask."""


def text_sections(
    truth: Annotations,
    results: Results,
    *,
    rules: Sequence[str] = tuple(RULES),
    score_threshold: float = SCORE_THRESHOLD,
    say: Say = say_nothing,
) -> list[Section]:
    """Precision, recall and harmonic mean of detected text by each of the three rules in `evaluation.text`.

    Each rule gets the polygons it is about: MMOCR's the contours that MMOCR makes of masks, ICDAR 2015's a rectangle at
    any angle around each mask, CTW1500's the polygon of each mask. Crowds are the words that cannot be read. All
    classes are text.

    Args:
        truth: The words. Where an annotation has RLE and a `polygon` (x and y in turn), the polygon counts.
        results: The predictions; where one has no mask, its box is the polygon.
        rules: Those of `RULES` that are wanted.
        score_threshold: Found texts with at least this score count by the two rules that have no threshold.
        say: Called with what is being scored.

    Returns:
        Of each rule (mmocr, icdar2015, ctw1500) `hmean`, `precision`, `recall`; MMOCR's also by score, in a section of
        its own.
    """
    sections = []
    for rule in rules:
        say(RULES[rule])
        found = _scored(rule, truth, results, score_threshold)
        numbers = {name: found[name] for name in ("hmean", "precision", "recall")}
        protocol = f"{PROTOCOLS[rule]}; masks as {found['polygons']}; score from {found['score_threshold']:g}"
        best = ", the best of those" if found["searched"] else ""
        sections.append(Section(rule, f"text, {RULES[rule]}", protocol + best, numbers))
        by_threshold = {f"hmean at {key}": score["hmean"] for key, score in found.get("by_threshold", {}).items()}
        if by_threshold:
            title = f"text, {RULES[rule]} by score"
            sections.append(Section(f"{rule}_by_score", title, f"{PROTOCOLS[rule]}; at each of them", by_threshold))
    return sections


def _scored(rule: str, truth: Annotations, results: Results, score_threshold: float) -> dict[str, Any]:
    if rule == "mmocr":
        searched = mmocr_scores(_images(truth, results, min(MMOCR_THRESHOLDS), contours_of))
        best = best_threshold(searched)
        return {
            **searched[best]._asdict(),
            "polygons": "contours",
            "score_threshold": round(best, 1),
            "searched": True,
            "by_threshold": {f"{threshold:.1f}": score._asdict() for threshold, score in searched.items()},
        }
    compute, polygons, contours = OFFICIAL[rule]
    score = compute(_images(truth, results, score_threshold, contours))
    return {**score._asdict(), "polygons": polygons, "score_threshold": score_threshold, "searched": False}


def _images(truth: Annotations, results: Results, least: float, polygons: Polygons) -> list[TextImage]:
    """The images with their words, and polygons of the predictions that have at least a score."""
    words, found = defaultdict(list), defaultdict(list)
    for one in truth.objects:
        words[one["image_id"]].append((_word(truth, one), bool(one.get("iscrowd"))))
    for record in results:
        if np.float32(record["score"]) >= np.float32(least):
            for polygon in found_polygons(record, polygons):
                found[record["image_id"]].append((polygon, record["score"]))
    return [
        TextImage(
            [polygon for polygon, _ in words[key]],
            [ignored for _, ignored in words[key]],
            [polygon for polygon, _ in found[key]],
            [score for _, score in found[key]],
        )
        for key in truth.sizes
    ]


def _word(truth: Annotations, found: dict) -> np.ndarray:
    segmentation, size = found.get("segmentation"), truth.sizes[found["image_id"]]
    parts = segmentation if isinstance(segmentation, list) else [found["polygon"]] if found.get("polygon") else []
    try:
        if parts:
            return _largest(parts)
        return polygon_of(rle_crop(rle(segmentation, size)))[0] if segmentation else _box(found)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise DataError(
            f"{truth.source}: annotation {found.get('id', '?')} of image {found['image_id']}: its polygon cannot be "
            f"used as a word's ({error}), but must be a polygon of at least 3 points x, y, RLE, or a box. "
            "Correct the file, or take the annotation out."
        ) from error


def found_polygons(record: dict, polygons: Polygons) -> list[np.ndarray]:
    """The polygons of a prediction by a rule: its own if it has some, else those of its mask, else its box."""
    if record.get("polygons"):
        return [_largest(record["polygons"])]
    mask = record.get("segmentation")
    return polygons(rle_crop(mask)) if mask else [_box(record)]


def _largest(parts: Sequence[Sequence[float]]) -> np.ndarray:
    """[V, 2] x, y of the part with the largest area."""
    polygons = [np.array(part, dtype=np.float64).reshape(-1, 2) for part in parts]
    return max(polygons, key=lambda points: shapely.Polygon(points).area)


def _box(record: dict) -> np.ndarray:
    x, y, width, height = record["bbox"]
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


def contours_of(crop: Crop) -> list[np.ndarray]:
    """All contours of a mask through its pixels, as MMOCR makes them."""
    return [points + np.array([crop.x, crop.y]) for points in trace_contours(crop.bitmap)]


def rectangle_of(crop: Crop) -> list[np.ndarray]:
    """A rectangle at any angle around a mask's largest part."""
    polygon = crop_polygon(crop, "quad")
    return [polygon] if len(polygon) else []


def polygon_of(crop: Crop) -> list[np.ndarray]:
    """The polygon of a mask's largest part."""
    polygon = crop_polygon(crop, "contour")
    return [polygon] if len(polygon) else []


OFFICIAL: dict[str, tuple[Callable[[Sequence[TextImage]], TextScore], str, Polygons]] = {
    "icdar2015": (icdar2015_score, "rectangles", rectangle_of),
    "ctw1500": (ctw1500_score, "polygons", polygon_of),
}
"""Score, name of the polygons, and the polygons of the rules that have no threshold."""
