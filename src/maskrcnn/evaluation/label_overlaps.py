"""Two label maps of one picture against each other: which objects share how many pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class LabelOverlaps(NamedTuple):
    """The annotated and the found objects of one picture.

    Args:
        truth: [H, W] int64, 0 where no object is, and the objects as 1..T in the order of their values.
        found: [H, W] int64, objects as 1..P.
        shared: [T, P] int64, pixels that two objects share.
        truth_areas: [T] pixels of each annotated object.
        found_areas: [P] pixels of each found one.
    """

    truth: np.ndarray
    found: np.ndarray
    shared: np.ndarray
    truth_areas: np.ndarray
    found_areas: np.ndarray

    @property
    def ious(self) -> np.ndarray:
        """[T, P] float64."""
        return self.shared / self.unions

    @property
    def unions(self) -> np.ndarray:
        """[T, P] int64; also of objects that do not meet."""
        return self.truth_areas[:, None] + self.found_areas[None] - self.shared


def label_overlaps(truth: np.ndarray, found: np.ndarray) -> LabelOverlaps:
    """Compare two label maps.

    Args:
        truth: [H, W] integers, 0 where no object is; the pixels of an object need not hang together.
        found: [H, W] likewise.

    Raises:
        ValueError: The maps are of different sizes, or hold negative numbers.
    """
    if truth.shape != found.shape:
        raise ValueError(f"label maps of different sizes cannot be compared: {truth.shape} and {found.shape}")
    truth, found = _in_turn(truth), _in_turn(found)
    objects, predictions = int(truth.max(initial=0)), int(found.max(initial=0))
    pairs = np.bincount((truth * (predictions + 1) + found).ravel(), minlength=(objects + 1) * (predictions + 1))
    table = pairs.reshape(objects + 1, predictions + 1)
    return LabelOverlaps(truth, found, table[1:, 1:], table.sum(1)[1:], table.sum(0)[1:])


def scan_order(label_map: np.ndarray) -> np.ndarray:
    """[N] places (from 0) of the objects 1..N of a map in the order in which a row-by-row scan meets them."""
    values, first = np.unique(label_map, return_index=True)
    return np.argsort(first[values > 0], kind="stable")


def _in_turn(label_map: np.ndarray) -> np.ndarray:
    """The map with its objects counted from 1 without gaps."""
    values, places = np.unique(label_map, return_inverse=True)
    if len(values) and values[0] < 0:
        raise ValueError(f"a label map holds {values[0]}, but objects are counted from 1, and 0 is none")
    gap = 0 if len(values) and values[0] == 0 else 1
    return places.reshape(label_map.shape).astype(np.int64) + gap
