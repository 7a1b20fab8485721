"""Fields of COCO's annotations that follow from others: `area` and `num_keypoints`, which files often have wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ..progress import counted

FACTOR = 2.0
"""How many times larger or smaller than its mask an `area` may be: areas of polygons are no counts of pixels."""
LEAST = 0.001
"""Part of its box that the `area` of an object without a mask has at least."""


def usable_area(stated: object, box: Sequence[float], drawn: float | None = None) -> float | None:
    """The `area` of an annotation, if it can be that of its object; None: it has to be measured.

    COCO's own evaluation takes the stated area, which is that of the polygons, so one that is near is kept.

    Args:
        stated: As it stands in the file.
        box: x, y, width, height.
        drawn: Area of its polygons or RLE, if it has any.
    """
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 < stated < math.inf:
        return None
    width, height = box[2], box[3]
    slack = 2 * (width + height) + 4  # pixels that polygons cut
    most, least = width * height + slack, LEAST * width * height
    if drawn is not None:
        most, least = min(most, FACTOR * drawn + slack), drawn / FACTOR - slack
    return float(stated) if least <= stated <= most else None


def drawn_area(segmentation: Any) -> float | None:
    """Area of valid polygons, the overlaps of several counted twice, or of compressed RLE; None: of neither.

    Much faster than the number of pixels of polygons.
    """
    try:
        if isinstance(segmentation, dict):
            return float(coco_mask.area(segmentation)) if isinstance(segmentation["counts"], str | bytes) else None
        return sum(map(_polygon_area, segmentation)) if segmentation else None
    except (TypeError, ValueError, KeyError):
        return None


def _polygon_area(polygon: Sequence[float]) -> float:
    x, y = np.array(polygon, dtype=np.float64).reshape(-1, 2).T
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1])) / 2


def visible_keypoints(keypoints: Sequence[Any]) -> int:
    """How many of x, y, visibility in turn are annotated."""
    return sum(isinstance(visibility, int | float) and visibility > 0 for visibility in keypoints[2::3])


def derived_remarks(differing: Mapping[str, Sequence[str]]) -> list[str]:
    """What to say of a file whose derived fields were measured instead.

    Args:
        differing: By the field, for each annotation that has another value, its name and both values.
    """
    return [
        f"`{field}` of {counted(len(cases), 'annotation')} cannot be right, and was computed from the object: "
        f"{cases[0]}"
        for field, cases in differing.items()
        if cases
    ]
