"""One image divided into segments that do not overlap: things one by one, stuff class by class.

A semantic map, [h, w] uint8, is what a pixel branch learns from: the stuff label 0..S-1 of each pixel, `THING` where
an object is, `UNKNOWN` where nothing is annotated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import find_objects
from torch import Tensor

from .classes import Classes

THING = 254
UNKNOWN = 255
MOST_STUFF = 254


@dataclass(frozen=True)
class Segment:
    """A part of an image.

    Args:
        id: Its pixels' value in the map, from 1 on.
        label: Of a thing 0..K-1, of stuff 0..S-1.
        is_thing: Whether it is one object; else all stuff of one class.
        area: Its pixels in the map.
        score: Of a predicted thing.
        instance: Its position among the objects that it was taken from.
        crowd: Of annotations: a group of things that was not separated.
    """

    id: int
    label: int
    is_thing: bool
    area: int
    score: float | None = None
    instance: int | None = None
    crowd: bool = False


@dataclass
class Panoptic:
    """An image's segments.

    Args:
        map: [h, w] int32 id of the segment each pixel belongs to; 0: none.
        segments: With the ids 1, 2, 3, ..., each of at least one pixel.
    """

    map: Tensor
    segments: list[Segment]

    def to(self, device: torch.device | str) -> Panoptic:
        """The same segments with their map on `device`."""
        return replace(self, map=self.map.to(device))


def encode_ids(ids: Tensor) -> np.ndarray:
    """A map of ids as COCO's panoptic PNG files hold it: [h, w] int32 to [h, w, 3] uint8, the lowest byte red."""
    values = ids.cpu().numpy()
    return np.stack([values & 255, values >> 8 & 255, values >> 16 & 255], axis=-1).astype(np.uint8)


def decode_ids(pixels: np.ndarray) -> np.ndarray:
    """The reverse of `encode_ids`: [h, w, 3] uint8 to [h, w] int32."""
    return pixels.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)


def describe_segments(panoptic: Panoptic, classes: Classes) -> list[dict[str, Any]]:
    """The `segments_info` of COCO's panoptic format, a predicted thing's `score` besides.

    Args:
        panoptic: Segments.
        classes: Their names' category ids.
    """
    windows = find_objects(panoptic.map.cpu().numpy())
    return [
        {
            "id": segment.id,
            "category_id": (classes.category_ids if segment.is_thing else classes.stuff_ids)[segment.label],
            "isthing": int(segment.is_thing),
            "area": segment.area,
            "bbox": _box(windows[segment.id - 1]),
            "iscrowd": int(segment.crowd),
            **({} if segment.score is None else {"score": round(segment.score, 6)}),
        }
        for segment in panoptic.segments
    ]


def _box(window: tuple[slice, slice]) -> list[int]:
    """x, y, width, height."""
    rows, columns = window
    return [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]
