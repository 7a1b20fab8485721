"""A map of values divided into the regions of equal value, by its runs instead of pixel by pixel."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np

from .masks import encode_counts

FAST = (np.uint8, np.uint16, np.int32)
"""Types of numbers that OpenCV transposes."""


class Region(NamedTuple):
    """All pixels of one value, wherever they are.

    Args:
        value: Of its pixels.
        area: Its pixels.
        box: x, y, width, height of the smallest box around them, in whole pixels.
        runs: [R, 2] int64 start and length of its runs; pixels are counted column by column, as in COCO's run lengths.
        size: (height, width) of the map.
    """

    value: int
    area: int
    box: tuple[int, int, int, int]
    runs: np.ndarray
    size: tuple[int, int]

    def run_lengths(self) -> dict[str, Any]:
        """COCO run lengths: {"size": [height, width], "counts": str}."""
        starts, lengths = self.runs.T
        ends = starts + lengths
        gaps = np.diff(starts, prepend=0)
        gaps[1:] -= ends[:-1] - starts[:-1]
        left = self.size[0] * self.size[1] - int(ends[-1])
        counts = np.stack([gaps, lengths], axis=1).ravel().tolist()
        return encode_counts([*counts, left] if left else counts, self.size)


def find_regions(values: np.ndarray) -> list[Region]:
    """The regions of a map by ascending value.

    Args:
        values: [h, w] integers of at most 32 bits.
    """
    height, width = values.shape
    if not values.size:
        return []
    flat = cv2.transpose(values if values.dtype in FAST else values.astype(np.int32)).ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    found = flat[starts]
    order = np.argsort(found, kind="stable")
    runs = np.stack([starts, np.diff(starts, append=len(flat))], axis=1)[order]
    found = found[order]
    edges = np.concatenate([[0], np.flatnonzero(found[1:] != found[:-1]) + 1, [len(found)]]).tolist()
    return [
        Region(int(found[start]), int(part[:, 1].sum()), _box(part, height), part, (height, width))
        for start, part in ((start, runs[start:end]) for start, end in pairwise(edges))
    ]


def _box(runs: np.ndarray, height: int) -> tuple[int, int, int, int]:
    starts, lasts = runs[:, 0], runs.sum(axis=1) - 1
    left, right = int(starts[0]) // height, int(lasts[-1]) // height
    over = starts // height != lasts // height  # such a run holds the last row of a column and the first of the next
    top = 0 if over.any() else int((starts % height).min())
    bottom = height - 1 if over.any() else int((lasts % height).max())
    return left, top, right - left + 1, bottom - top + 1
