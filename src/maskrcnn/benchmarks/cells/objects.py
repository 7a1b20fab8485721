"""Object-level F1, Dice and Hausdorff distance, the scores of the gland segmentation challenge (Sirinukunwattana 2017).

As in the challenge's scripts and their port WESUP (`utils/metrics.py`), which pairs an object with the one it shares
most pixels with, never with the background, and of equals with the one a row-by-row scan meets first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .hausdorff import LabeledPoints
from .instances import LabelOverlaps, scan_order

COVERED = 0.5
"""A found object is right if it covers more than this part of the object it shares most pixels with."""


class ObjectSums(NamedTuple):
    """Of one image, or added up over several: whose sums are weighted by the areas of all of them.

    Args:
        right: Found objects that cover more than half of their partner; several may share one.
        found, truth: Numbers of objects.
        found_area, truth_area: Their pixels.
        found_dice, truth_dice: Dice of each object with its partner times its area, added up; 0 without a partner.
        found_distance, truth_distance: Hausdorff distances likewise; without a partner, to the nearest object.
    """

    right: int
    found: int
    truth: int
    found_area: int
    truth_area: int
    found_dice: float
    truth_dice: float
    found_distance: float
    truth_distance: float


def object_sums(overlaps: LabelOverlaps) -> ObjectSums:
    """What the three scores of an image are made of."""
    shared, truth_areas, found_areas = overlaps.shared, overlaps.truth_areas, overlaps.found_areas
    truth, found = LabeledPoints(overlaps.truth), LabeledPoints(overlaps.found)
    of_found = _partners(shared.T, scan_order(overlaps.truth))
    of_truth = _partners(shared, scan_order(overlaps.found))
    right = sum(shared[i, j] > COVERED * truth_areas[i] for j, i in enumerate(of_found) if i >= 0)
    return ObjectSums(
        right=int(right),
        found=len(found_areas),
        truth=len(truth_areas),
        found_area=int(found_areas.sum()),
        truth_area=int(truth_areas.sum()),
        found_dice=_dice(shared.T, found_areas, truth_areas, of_found),
        truth_dice=_dice(shared, truth_areas, found_areas, of_truth),
        found_distance=_distance(found, truth, found_areas, of_found),
        truth_distance=_distance(truth, found, truth_areas, of_truth),
    )


def pooled_sums(images: Sequence[ObjectSums]) -> ObjectSums:
    """The sums of all images together."""
    return ObjectSums(*(sum(column) for column in zip(*images, strict=True))) if images else ObjectSums(*[0] * 9)


def object_numbers(sums: ObjectSums) -> dict[str, float | None]:
    """f1_object, dice_object and hausdorff_object (pixels).

    Without an object on either side F1 and Dice are 1, with none on one side 0. The Hausdorff distance is 0 in both
    cases, as in WESUP: there is nothing to measure to. It says nothing without the other two.
    """
    if not sums.found and not sums.truth:
        return {"f1_object": 1.0, "dice_object": 1.0, "hausdorff_object": 0.0}
    dice = _weighted(sums.found_dice, sums.found_area) + _weighted(sums.truth_dice, sums.truth_area)
    distance = _weighted(sums.found_distance, sums.found_area) + _weighted(sums.truth_distance, sums.truth_area)
    # precision right / found and recall right / truth, which can be above 1
    f1 = 2 * sums.right / (sums.found + sums.truth)
    return {"f1_object": f1, "dice_object": dice / 2, "hausdorff_object": distance / 2}


def _weighted(total: float, area: int) -> float:
    return total / area if area else 0.0


def _partners(shared: np.ndarray, order: np.ndarray) -> np.ndarray:
    """[N] the object with most shared pixels, the first in order of equal ones; -1 where none is shared."""
    if not shared.size:
        return np.full(len(shared), -1)
    return np.where(shared.any(1), order[shared[:, order].argmax(1)], -1)


def _dice(shared: np.ndarray, areas: np.ndarray, other_areas: np.ndarray, partners: np.ndarray) -> float:
    i = np.flatnonzero(partners >= 0)
    j = partners[i]
    return float((areas[i] * 2 * shared[i, j] / (areas[i] + other_areas[j])).sum())


def _distance(objects: LabeledPoints, others: LabeledPoints, areas: np.ndarray, partners: np.ndarray) -> float:
    if not len(others):
        return 0.0
    distances = [
        objects.distance(i, others, int(j)) if j >= 0 else objects.nearest(i, others) for i, j in enumerate(partners)
    ]
    return float(np.dot(areas, distances))
