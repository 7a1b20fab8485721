"""How well the cells of one picture are told apart: Dice, aggregated Jaccard index and panoptic quality.

As HoVer-Net's evaluator has them (Graham et al. 2019; `metrics/stats_utils.py`). None stands where that evaluator
divides by zero or stops with an error.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from .label_overlaps import LabelOverlaps

IOU = 0.5
"""Cells are the same above it (`dq`, `sq`, `pq`)."""

MARGIN = 1e-6
"""Added by the evaluator to what it divides by."""


def instance_numbers(overlaps: LabelOverlaps) -> dict[str, float | None]:
    """dice_pixel, dice_2, aji, aji_plus, dq, sq and pq of one picture.

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
