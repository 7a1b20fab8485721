"""Which detection found which object, by COCO's greedy rule, at several thresholds at once.

The official evaluator keeps its matches to itself; errors, worst images and comparisons of two runs start from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ..evaluation.accuracy import category_ids
from ..evaluation.annotations import Annotations
from ..evaluation.keypoints import MOST_DETECTIONS, keypoint_objects, keypoint_sigmas, object_keypoint_similarities
from ..evaluation.results import FIELDS, IouType, Results

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
EVERY_AREA = (0.0, 1e10)
HIGHEST = 1 - 1e-10
"""A threshold of 1 is taken for this, so that a perfect detection fits in spite of rounding."""
RECALLS = np.linspace(0, 1, 101)
TOGETHER = 4_000_000
"""Detections times weightings that are worked on at once, so that they stay near the processor."""


@dataclass(frozen=True)
class Overlaps:
    """Detections and objects of one image; D detections, G objects.

    Args:
        image_id: The image.
        detections: [D] their places in the results, the best score first (of equal ones the first).
        objects: [G] their places in the truth's objects.
        same: [D, G] whether detection and object are of the same class.
        ious: [D, G] how well they fit, of whatever classes: IoU of boxes or masks, or similarity of keypoints; with a
            crowd the part of the detection's own area that lies in it.
        detection_areas: [D] in square pixels; None where all areas count.
        object_areas: [G] as annotated.
        crowd: [G] whether several detections may lie in it.
        ignored: [G] whether it need not be found, as a crowd or for lack of keypoints.
    """

    image_id: int
    detections: np.ndarray
    objects: np.ndarray
    same: np.ndarray
    ious: np.ndarray
    detection_areas: np.ndarray | None
    object_areas: np.ndarray
    crowd: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class Matches:
    """All detections that count, at T thresholds: D of them, image by image in the order of the image ids.

    Args:
        image_ids: [P] ascending.
        images: [D] places in `image_ids`.
        detections: [D] places in the results.
        categories: [D] category ids.
        scores: [D].
        partners: [T, D] places in the truth's objects; -1: none.
        ignored: [T, D] whether the detection counts neither as right nor as wrong.
        counted: [G] whether each of the truth's objects is to be found.
    """

    image_ids: np.ndarray
    images: np.ndarray
    detections: np.ndarray
    categories: np.ndarray
    scores: np.ndarray
    partners: np.ndarray
    ignored: np.ndarray
    counted: np.ndarray


def match_results(
    truth: Annotations,
    results: Results,
    iou_type: IouType,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    area: tuple[float, float] = EVERY_AREA,
    max_detections: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> Matches:
    """Match all detections of a dataset with its objects.

    Args:
        truth: The annotated objects.
        results: The predictions; those without the field of the IoU type are left out.
        iou_type: "bbox", "segm" or "keypoints".
        thresholds: T least IoUs.
        area: Objects of other areas (both ends belong to it) need not be found.
        max_detections: Most detections that count per image and class; of keypoints at most 20.
        on_progress: Called after each image with 1.
    """
    found: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    counted = np.zeros(len(truth.objects), dtype=bool)
    sized = tuple(area) != EVERY_AREA
    overlaps = image_overlaps(truth, results, iou_type, max_detections=max_detections, sized=sized)
    for place, image in enumerate(overlaps):
        partners, ignored = match_image(image, thresholds, area)
        counted[image.objects] = ~ignored_objects(image, area)
        found.append((place, image.detections, partners, ignored))
        if on_progress:
            on_progress(1)
    detections = np.concatenate([part[1] for part in found] or [np.zeros(0, dtype=np.int64)])
    columns = [np.zeros((len(thresholds), 0), dtype=np.int64)]
    return Matches(
        image_ids=np.array(sorted(truth.sizes), dtype=np.int64),
        images=np.repeat(np.arange(len(found)), [len(part[1]) for part in found]),
        detections=detections,
        categories=np.array([results[i]["category_id"] for i in detections], dtype=np.int64),
        scores=np.array([results[i]["score"] for i in detections], dtype=float),
        partners=np.concatenate([*columns, *(part[2] for part in found)], axis=1),
        ignored=np.concatenate([*columns, *(part[3] for part in found)], axis=1).astype(bool),
        counted=counted,
    )


def match_image(
    image: Overlaps, thresholds: Sequence[float], area: tuple[float, float] = EVERY_AREA
) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of an image with its objects, the best detection first.

    Each takes the free object of its class that it fits best, from the threshold on; of equal ones the last. Objects
    that need not be found are taken only where no other fits; crowds stay free (pycocotools, `evaluateImg`).

    Args:
        image: Its detections and objects.
        thresholds: T least IoUs.
        area: Objects of other areas need not be found, detections of other areas need not be right.

    Returns:
        [T, D] places in the truth's objects, -1 without a partner; [T, D] whether the detection does not count.
    """
    limits = np.minimum(np.array(thresholds, dtype=float), HIGHEST)
    optional = ignored_objects(image, area)
    ious = np.where(image.same, image.ious, -1.0)
    chosen = np.full((len(limits), len(image.detections)), -1)
    free = np.ones((len(image.objects), len(limits)), dtype=bool)
    lowest = limits.min(initial=2)
    for detection in np.flatnonzero(ious.max(axis=1, initial=-1) >= lowest):
        row = ious[detection]
        searching = np.ones(len(limits), dtype=bool)
        candidates = np.flatnonzero(row >= lowest).tolist()
        for column in sorted(candidates, key=lambda column: (optional[column], -row[column], -column)):
            takes = searching & free[column] & (row[column] >= limits)
            chosen[takes, detection] = column
            searching &= ~takes
            if not image.crowd[column]:
                free[column] &= ~takes
    alone = chosen < 0
    outside = np.zeros(len(image.detections), dtype=bool)
    if image.detection_areas is not None:
        outside = (image.detection_areas < area[0]) | (image.detection_areas > area[1])
    if not len(image.objects):
        return chosen, alone & outside
    return np.where(alone, -1, image.objects[chosen]), np.where(alone, outside, optional[chosen])


def ignored_objects(image: Overlaps, area: tuple[float, float] = EVERY_AREA) -> np.ndarray:
    """[G] whether an object need not be found: crowds, objects without keypoints, other areas."""
    return image.ignored | (image.object_areas < area[0]) | (image.object_areas > area[1])


def image_overlaps(
    truth: Annotations, results: Results, iou_type: IouType, *, max_detections: int = 100, sized: bool = False
) -> Iterator[Overlaps]:
    """Overlaps of one image after the other, in the order of the image ids.

    Args:
        truth, results, iou_type, max_detections: As for `match_results`.
        sized: Measure the detections' areas, too.
    """
    found: dict[int, list[int]] = defaultdict(list)
    for place, record in enumerate(results):
        if record.get(FIELDS[iou_type]) is not None:
            found[record["image_id"]].append(place)
    complete = keypoint_objects(truth) if iou_type == "keypoints" else truth.complete
    annotated: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(complete):
        annotated[one["image_id"]].append(place)
    most = min(max_detections, MOST_DETECTIONS) if iou_type == "keypoints" else max_detections
    compare, measure = COMPARISONS[iou_type]
    for image_id in sorted(truth.sizes):
        detections = _best(found[image_id], results, most)
        objects = np.array(annotated[image_id], dtype=np.int64)
        records = [results[i] for i in detections]
        known = [complete[i] for i in objects]
        shapes = _shapes(truth, records, iou_type)
        yield Overlaps(
            image_id,
            detections,
            objects,
            category_ids(records)[:, None] == category_ids(known)[None],
            compare(truth, shapes, known, objects),
            measure(shapes) if sized else None,
            np.array([one["area"] for one in known], dtype=float),
            np.array([one["iscrowd"] for one in known], dtype=bool),
            np.array([one["iscrowd"] or not one.get("num_keypoints", 1) for one in known], dtype=bool),
        )


def _best(places: list[int], results: Sequence[dict], most: int) -> np.ndarray:
    """Places of the `most` best of each class, the best first."""
    chosen, counts = [], defaultdict[int, int](int)
    for place in sorted(places, key=lambda place: -results[place]["score"]):
        category = results[place]["category_id"]
        counts[category] += 1
        if counts[category] <= most:
            chosen.append(place)
    return np.array(chosen, dtype=np.int64)


def _shapes(truth: Annotations, records: list[dict], iou_type: IouType) -> Any:
    """Boxes or RLE of some records, or [D, Kp, 3] keypoints."""
    if iou_type == "segm":
        return [record["segmentation"] for record in records]
    if iou_type == "bbox":
        return [record["bbox"] for record in records]
    points = np.array([record["keypoints"] for record in records], dtype=float)
    return points.reshape(len(records), len(keypoint_sigmas(truth)), 3)


def _compare_boxes(truth: Annotations, boxes: list, known: list[dict], objects: np.ndarray) -> np.ndarray:
    return _overlaps(boxes, [one["bbox"] for one in known], known)


def _compare_masks(truth: Annotations, masks: list, known: list[dict], objects: np.ndarray) -> np.ndarray:
    return _overlaps(masks, [truth.masks[i] for i in objects], known)


def _compare_keypoints(truth: Annotations, points: np.ndarray, known: list[dict], objects: np.ndarray) -> np.ndarray:
    return object_keypoint_similarities(truth, points, known)


def _overlaps(first: list, second: list, known: list[dict]) -> np.ndarray:
    overlaps = np.zeros((len(first), len(second)))
    if overlaps.size:
        overlaps[:] = coco_mask.iou(first, second, [one["iscrowd"] for one in known])
    return overlaps


def _box_areas(boxes: list) -> np.ndarray:
    return np.array(boxes, dtype=float).reshape(-1, 4)[:, 2:].prod(axis=1)


def _mask_areas(masks: list) -> np.ndarray:
    return np.array(coco_mask.area(masks) if masks else [], dtype=float)


def _keypoint_areas(points: np.ndarray) -> np.ndarray:
    """Of the box around all keypoints."""
    return np.ptp(points[:, :, :2], axis=1).prod(axis=1)


COMPARISONS: dict[IouType, tuple[Callable[..., np.ndarray], Callable[[Any], np.ndarray]]] = {
    "bbox": (_compare_boxes, _box_areas),
    "segm": (_compare_masks, _mask_areas),
    "keypoints": (_compare_keypoints, _keypoint_areas),
}
"""How well shapes fit objects [D, G], and the areas of shapes [D]."""


def average_precision(right: np.ndarray, found: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Mean over 101 recalls of the best precision at that recall or a higher one, as COCO computes it.

    Precision is looked at where a right detection stands, because it only falls between two of them.

    Args:
        right: [N, R] weight of the right detections up to each right one, the best score first; R weightings.
        found: [N, R] weight of all detections up to the same places.
        positives: [R] weight of the objects to be found.

    Returns:
        [R] in 0..1; NaN where there is nothing to find.
    """
    if not len(right):
        return np.where(positives > 0, 0.0, np.nan)
    precision = right / (found + np.spacing(1))
    np.maximum.accumulate(precision[::-1], axis=0, out=precision[::-1])
    recall = right / np.maximum(positives, np.spacing(1))
    nearest = np.rint(recall * 100).astype(np.int64)
    np.minimum(nearest, 100, out=nearest)
    reached = nearest + (RECALLS[nearest] <= recall)
    steps = np.diff(reached, axis=0, prepend=0)
    return np.where(positives > 0, (precision * steps).sum(axis=0) / len(RECALLS), np.nan)


def class_precisions(truth: Annotations, matches: Matches, weights: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Average precision of each class in its turn, with each image counted so many times.

    Args:
        truth: What was matched.
        matches: Of T thresholds.
        weights: [P, R] how often each image counts in each of R weightings, whole numbers.

    Returns:
        Pairs of a category id and [T, R]; NaN where a class has no object.
    """
    order = np.lexsort((-matches.scores, matches.categories))
    categories = sorted(truth.categories)
    ends = np.searchsorted(matches.categories[order], categories, side="right")
    starts = np.searchsorted(matches.categories[order], categories, side="left")
    counted = _counted_images(truth, matches)
    for category, start, end in zip(categories, starts, ends, strict=True):
        places = order[start:end]
        step = max(1, TOGETHER // max(1, len(places)))
        parts = [
            _one_class(matches, places, counted[category], weights[:, first : first + step])
            for first in range(0, weights.shape[1], step)
        ]
        yield category, np.concatenate(parts, axis=1)


def _counted_images(truth: Annotations, matches: Matches) -> dict[int, np.ndarray]:
    """The image of each object that is to be found, by category id."""
    counted: dict[int, list[int]] = {category: [] for category in truth.categories}
    for one, counts in zip(truth.objects, matches.counted, strict=True):
        if counts:
            counted[one["category_id"]].append(one["image_id"])
    return {category: np.searchsorted(matches.image_ids, ids) for category, ids in counted.items()}


def _one_class(matches: Matches, places: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[T, R] of the detections of one class, the best first."""
    images = matches.images[places]
    positives = weights[counted.astype(np.int64)].sum(axis=0)
    partners, ignored = matches.partners[:, places], matches.ignored[:, places]
    found = np.cumsum(weights[images], axis=0, dtype=weights.dtype)
    areas = np.empty((len(partners), weights.shape[1]))
    for threshold, (partner, out) in enumerate(zip(partners, ignored, strict=True)):
        hits = np.flatnonzero((partner >= 0) & ~out)
        right = np.cumsum(weights[images[hits]], axis=0, dtype=weights.dtype)
        before = found[hits]
        if out.any():
            skipped = np.flatnonzero(out)
            left_out = np.cumsum(np.pad(weights[images[skipped]], ((1, 0), (0, 0))), axis=0, dtype=weights.dtype)
            before = before - left_out[np.searchsorted(skipped, hits)]
        areas[threshold] = average_precision(right, before, positives)
    return areas
