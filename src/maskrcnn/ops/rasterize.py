"""Polygons of objects to pixels, as COCO's own tools draw them."""

from collections.abc import Sequence

import numpy as np
from faster_coco_eval.core import mask as coco_mask

Polygons = tuple[np.ndarray, ...]
"""Polygons of one object, each [V, 2] float64 x, y; the object is their union."""

SMALLEST_SIDE = 0.1
"""Boxes with a shorter side, in pixels, are treated as if they had this one."""


def draw_in_box(polygons: Polygons, box: Sequence[float], size: int) -> np.ndarray:
    """Draw an object on a grid spread over a box, from its polygons (detectron2's mask targets).

    Nothing is rounded before the polygons are on the grid, so that small objects keep their shape.

    Args:
        polygons: At least one polygon.
        box: x1, y1, x2, y2.
        size: Cells per side of the grid, m.

    Returns:
        [m, m] uint8, 1 on the object.
    """
    corner = np.array(box[:2])
    scale = size / np.maximum(np.array(box[2:]) - corner, SMALLEST_SIDE)
    drawn = coco_mask.frPyObjects([((polygon - corner) * scale).ravel() for polygon in polygons], size, size)
    return coco_mask.decode(coco_mask.merge(drawn))
