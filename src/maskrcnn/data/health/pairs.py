"""Pairs of objects of one picture whose boxes overlap."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .objects import ObjectTable

ROWS = 512
"""Objects that are compared with all of their picture at a time, which bounds the memory."""


class Pairs(NamedTuple):
    """P pairs, each once, without crowds.

    Args:
        first, second: [P] places in the table, first < second.
        overlaps: [P] IoU of their boxes.
    """

    first: np.ndarray
    second: np.ndarray
    overlaps: np.ndarray

    def where(self, chosen: np.ndarray) -> "Pairs":
        """Those that a boolean array [P] selects."""
        return Pairs(self.first[chosen], self.second[chosen], self.overlaps[chosen])


def overlapping_pairs(table: ObjectTable, least: float) -> Pairs:
    """Objects of the same picture whose boxes have an IoU of at least `least`."""
    places = np.flatnonzero(~table.crowd)
    edges = np.flatnonzero(np.diff(table.pictures[places], prepend=-1, append=-1))
    found = [np.zeros((0, 3))]
    for start, end in pairwise(edges.tolist()):
        own = places[start:end]
        for row in range(0, len(own), ROWS):
            overlaps = box_overlaps(table.boxes[own[row : row + ROWS]], table.boxes[own])
            i, j = np.nonzero(np.triu(overlaps >= least, k=row + 1))
            found.append(np.stack([own[row + i], own[j], overlaps[i, j]], axis=1))
    joined = np.concatenate(found)
    return Pairs(joined[:, 0].astype(np.int64), joined[:, 1].astype(np.int64), joined[:, 2])


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M] IoU of boxes [N, 4] and [M, 4]; 0 where neither has an area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
