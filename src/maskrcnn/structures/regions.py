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
        runs: [R, 2] int64 start and length of its runs; pixels are counted column by column, as in COCO RLE.
        size: (height, width) of the map.
    """

    value: int
    area: int
    box: tuple[int, int, int, int]
    runs: np.ndarray
    size: tuple[int, int]

    def rle(self) -> dict[str, Any]:
        """COCO RLE: {"size": [height, width], "counts": str}."""
        starts, lengths = self.runs.T
        ends = starts + lengths
        gaps = np.diff(starts, prepend=0)
        gaps[1:] -= ends[:-1] - starts[:-1]
        left = self.size[0] * self.size[1] - int(ends[-1])
        counts = np.stack([gaps, lengths], axis=1).ravel().tolist()
        return encode_counts([*counts, left] if left else counts, self.size)


class LabelMap(NamedTuple):
    """A map of values by its runs: a hundredth of its pixels' memory, so that many decoded files can be kept.

    Args:
        values: [R] of each run, in the map's own type.
        starts: [R] int32 first pixel of each run, counted column by column.
        size: (height, width) of the map.
    """

    values: np.ndarray
    starts: np.ndarray
    size: tuple[int, int]

    @classmethod
    def encode(cls, values: np.ndarray) -> LabelMap:
        """The runs of a map.

        Args:
            values: [h, w] integers of at most 32 bits.
        """
        if not values.size:
            return cls(values.ravel(), np.zeros(0, dtype=np.int32), values.shape[:2])
        flat = cv2.transpose(values if values.dtype in FAST else values.astype(np.int32)).ravel()
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        return cls(flat[starts], starts.astype(np.int32), values.shape[:2])

    def lengths(self) -> np.ndarray:
        """[R] int64 pixels of each run."""
        return np.diff(self.starts.astype(np.int64), append=self.size[0] * self.size[1])

    def decode(self) -> np.ndarray:
        """[h, w] the map itself."""
        return np.repeat(self.values, self.lengths()).reshape(self.size[::-1]).T

    def regions(self) -> list[Region]:
        """The regions of the map by ascending value."""
        if not len(self.values):
            return []
        order = np.argsort(self.values, kind="stable")
        runs = np.stack([self.starts.astype(np.int64), self.lengths()], axis=1)[order]
        found = self.values[order]
        edges = np.concatenate([[0], np.flatnonzero(found[1:] != found[:-1]) + 1, [len(found)]]).tolist()
        return [
            Region(int(found[start]), int(part[:, 1].sum()), _box(part, self.size[0]), part, self.size)
            for start, part in ((start, runs[start:end]) for start, end in pairwise(edges))
        ]


def find_regions(values: np.ndarray) -> list[Region]:
    """The regions of a map [h, w] of integers of at most 32 bits, by ascending value."""
    return LabelMap.encode(values).regions()


def _box(runs: np.ndarray, height: int) -> tuple[int, int, int, int]:
    starts, lasts = runs[:, 0], runs.sum(axis=1) - 1
    left, right = int(starts[0]) // height, int(lasts[-1]) // height
    over = starts // height != lasts // height  # such a run holds the last row of a column and the first of the next
    top = 0 if over.any() else int((starts % height).min())
    bottom = height - 1 if over.any() else int((lasts % height).max())
    return left, top, right - left + 1, bottom - top + 1
