"""Hausdorff distances in pixels, of whole images and object by object.

The distance of two sets is the largest way from a pixel of one of them to the nearest pixel of the other.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

MOST_PAIRS = 500_000
"""Of points whose distances are computed at once; a tree is built where there are more."""


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
