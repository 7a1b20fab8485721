"""How well the cells of one image are separated: Dice, aggregated Jaccard index and panoptic quality.

As HoVer-Net's evaluator has them (Graham et al. 2019; `metrics/stats_utils.py`). None stands where that evaluator
divides by zero or stops with an error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

IOU = 0.5
"""Cells are the same above it (`dq`, `sq`, `pq`)."""

MARGIN = 1e-6
"""Added by the evaluator to what it divides by."""


class LabelOverlaps(NamedTuple):
    """The annotated and the found objects of one image.

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


def instance_numbers(overlaps: LabelOverlaps) -> dict[str, float | None]:
    """dice_pixel, dice_2, aji, aji_plus, dq, sq and pq of one image.

    - `dice_pixel`: 2 |A and B| / (|A| + |B|) of all cells' pixels, whichever cell they belong to.
    - `dice_2`: the same summed over all pairs of cells that meet ("ensemble Dice").
    - `aji`: each annotated cell with the found one of largest IoU, which may serve several (Kumar et al. 2017).
    - `aji_plus`: pairs of one with one, of largest IoU in sum.
    - `dq`, `sq`, `pq`: pairs with an IoU above 0.5 (Kirillov et al. 2019).
    """
    return {
        "dice_pixel": _dice_pixel(overlaps),
        "dice_2": _dice_2(overlaps),
        "aji": _aji(overlaps),
        "aji_plus": _aji_plus(overlaps),
        **_panoptic(overlaps),
    }


def _dice_pixel(overlaps: LabelOverlaps) -> float | None:
    return _ratio(2 * overlaps.shared.sum(), overlaps.truth_areas.sum() + overlaps.found_areas.sum())


def _dice_2(overlaps: LabelOverlaps) -> float | None:
    meet = overlaps.shared > 0
    both = overlaps.truth_areas[:, None] + overlaps.found_areas[None]
    return _ratio(2 * overlaps.shared.sum(), both[meet].sum())


def _aji(overlaps: LabelOverlaps) -> float | None:
    if not len(overlaps.found_areas):
        return None
    ious = overlaps.shared / (overlaps.unions + MARGIN)
    paired = np.flatnonzero(ious.max(1, initial=0) > 0)
    return _jaccard(overlaps, paired, ious[paired].argmax(1))


def _aji_plus(overlaps: LabelOverlaps) -> float | None:
    ious = overlaps.shared / (overlaps.unions + MARGIN)
    rows, columns = linear_sum_assignment(-ious)
    meet = ious[rows, columns] > 0
    return _jaccard(overlaps, rows[meet], columns[meet])


def _jaccard(overlaps: LabelOverlaps, rows: np.ndarray, columns: np.ndarray) -> float | None:
    """Shared pixels of the pairs over their unions and the areas of what is in no pair."""
    alone = np.delete(overlaps.truth_areas, rows).sum() + np.delete(overlaps.found_areas, columns).sum()
    return _ratio(overlaps.shared[rows, columns].sum(), overlaps.unions[rows, columns].sum() + alone)


def _panoptic(overlaps: LabelOverlaps) -> dict[str, float | None]:
    ious = overlaps.ious
    matched = ious[ious > IOU]
    detection = _ratio(2 * len(matched), sum(ious.shape))
    if detection is None:
        return {"dq": None, "sq": None, "pq": None}
    quality = float(matched.sum() / (len(matched) + MARGIN))
    return {"dq": detection, "sq": quality, "pq": detection * quality}


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
