"""Object-level F1, Dice and Hausdorff distance, the scores of the gland segmentation challenge (Sirinukunwattana 2017).

As in the challenge's scripts and their port WESUP (`utils/metrics.py`), which pairs an object with the one it shares
most pixels with, never with the background, and of equals with the one a row-by-row scan meets first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from .instances import LabelOverlaps, scan_order

MOST_PAIRS = 500_000
"""Of points whose distances are computed at once; a tree is built where there are more."""
COVERED = 0.5
"""A found object is right if it covers more than this part of the object it shares most pixels with."""


class LabeledPoints:
    """The pixels of every object of a label map.

    Args:
        label_map: [H, W] int64, objects as 1..N, each with at least one pixel.
    """

    def __init__(self, label_map: np.ndarray) -> None:
        self.label_map = label_map
        self._pixels = _points_by_object(label_map, label_map > 0)
        self._rims = _points_by_object(label_map, _rims(label_map))

    def __len__(self) -> int:
        return len(self._pixels)

    @cached_property
    def corners(self) -> np.ndarray:
        """[N, 4] first and last row and column of each object."""
        ends = [np.concatenate([points.min(0), points.max(0)]) for points in self._pixels]
        return np.array(ends, dtype=np.int64).reshape(-1, 4)

    def distance(self, i: int, others: LabeledPoints, j: int) -> float:
        """Hausdorff distance of object i to object j of another map of the same size, counted from 0."""
        return max(self._way(i, others, j), others._way(j, self, i))

    def nearest(self, i: int, others: LabeledPoints) -> float:
        """Distance of object i to that object of the other map to which it is smallest; infinite without one.

        The ends of two objects along an axis differ by no more than their distance, so that most need not be measured.
        """
        least = np.abs(others.corners - self.corners[i]).max(1) if len(others) else np.zeros(0)
        best = math.inf
        for j in np.argsort(least, kind="stable"):
            if least[j] >= best:
                break
            best = min(best, self.distance(i, others, int(j)))
        return best

    def _way(self, i: int, others: LabeledPoints, j: int) -> float:
        """The largest way from a pixel of object i to the nearest of object j."""
        pixels, rim = self._pixels[i], others._rims[j]
        outside = pixels[others.label_map[pixels[:, 0], pixels[:, 1]] != j + 1]
        if not len(outside):
            return 0.0
        if len(outside) * len(rim) > MOST_PAIRS:
            return float(KDTree(rim).query(outside)[0].max())
        return float(cdist(outside, rim).min(1).max())


def foreground_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Hausdorff distance of two bitmaps, over all their pixels.

    Args:
        first, second: [H, W] bool.

    Returns:
        0 if both are empty, infinity if one is.
    """
    if not first.any() or not second.any():
        return math.inf if first.any() or second.any() else 0.0
    ways = [
        float(ndimage.distance_transform_edt(~goal)[start].max()) for start, goal in ((first, second), (second, first))
    ]
    return max(ways)


def edge_distance(first: np.ndarray, second: np.ndarray) -> float | None:
    """Hausdorff distance of the edges of two bitmaps, as MONAI measures it (`compute_hausdorff_distance`).

    An edge is what an erosion by one pixel, up, down, left and right, takes away.

    Args:
        first, second: [H, W] bool.

    Returns:
        None if both are empty, infinity if one is.
    """
    if not first.any() and not second.any():
        return None
    return foreground_distance(*(bitmap & ~ndimage.binary_erosion(bitmap) for bitmap in (first, second)))


def _points_by_object(label_map: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """[n, 2] int64 rows and columns of each object's chosen pixels."""
    rows, columns = np.nonzero(chosen)
    labels = label_map[rows, columns]
    order = np.argsort(labels, kind="stable")
    points = np.stack([rows[order], columns[order]], axis=1)
    ends = np.cumsum(np.bincount(labels, minlength=int(label_map.max(initial=0)) + 1)[1:])
    return np.split(points, ends[:-1]) if len(ends) else []


def _rims(label_map: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels of objects next to another value or the image's edge; the nearest of any place outside."""
    padded = np.pad(label_map, 1, constant_values=-1)
    neighbors = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (label_map > 0) & np.any([side != label_map for side in neighbors], axis=0)


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
