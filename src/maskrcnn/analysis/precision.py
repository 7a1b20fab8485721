"""Average precision from matches: the area under COCO's curve of precision over recall, of many weightings at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..evaluation.annotations import Annotations
from .matching import Matches

RECALLS = np.linspace(0, 1, 101)
TOGETHER = 4_000_000
"""Detections times weightings that are worked on at once, so that they stay near the processor."""


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
    wanted = _wanted_images(truth, matches)
    for category, start, end in zip(categories, starts, ends, strict=True):
        places = order[start:end]
        step = max(1, TOGETHER // max(1, len(places)))
        parts = [
            _one_class(matches, places, wanted[category], weights[:, first : first + step])
            for first in range(0, weights.shape[1], step)
        ]
        yield category, np.concatenate(parts, axis=1)


def _wanted_images(truth: Annotations, matches: Matches) -> dict[int, np.ndarray]:
    """The image of each object that is to be found, by category id."""
    wanted: dict[int, list[int]] = {category: [] for category in truth.categories}
    for one, counts in zip(truth.objects, matches.wanted, strict=True):
        if counts:
            wanted[one["category_id"]].append(one["image_id"])
    return {category: np.searchsorted(matches.image_ids, ids) for category, ids in wanted.items()}


def _one_class(matches: Matches, places: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[T, R] of the detections of one class, the best first."""
    images = matches.images[places]
    positives = weights[wanted.astype(np.int64)].sum(axis=0)
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
