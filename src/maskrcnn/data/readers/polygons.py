"""Shapes of annotation tools as polygons in continuous pixels, [[x, y, x, y, ...]], as COCO's files have them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...structures.coco_forms import polygon_points
from ...structures.masks import encode_crop, tight_crop

GAP = 0.05
"""How far, in pixels, the sides of the polygon that stands for an ellipse may lie inside it."""
FEWEST, MOST = 12, 720
LONGEST = 2**24
"""Pixels along a side: more than any image has, and few enough for RLE of 64 bits."""


def rectangle_polygon(x1: float, y1: float, x2: float, y2: float, degrees: float = 0.0) -> list[float]:
    """Corners of a rectangle, turned about its middle, clockwise on the screen."""
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    if degrees:
        middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        corners = (corners - middle) @ _turn(math.radians(degrees)).T + middle
    return [float(value) for value in corners.ravel()]


def ellipse_polygon(x: float, y: float, radius_x: float, radius_y: float, radians: float = 0.0) -> list[float]:
    """A polygon inside an ellipse, turned about its middle (x, y), clockwise on the screen.

    Its sides lie at most `GAP` pixels inside, so that its area is that of the ellipse within a percent from a radius of
    ten pixels on.

    Raises:
        ValueError: A radius is not above 0.
    """
    if not (radius_x > 0 and radius_y > 0):
        raise ValueError(f"its radii are {radius_x:g} and {radius_y:g}, but both must be above 0")
    longest = max(radius_x, radius_y)
    count = math.ceil(math.pi / math.acos(max(0.0, 1 - GAP / longest)))
    angles = np.arange(min(MOST, max(FEWEST, count))) * (2 * math.pi / min(MOST, max(FEWEST, count)))
    points = np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1)
    return [float(value) for value in (points @ _turn(radians).T + np.array([x, y])).ravel()]


def bitmap_rle(bitmap: np.ndarray, x: int, y: int, size: tuple[int, int]) -> dict[str, Any]:
    """COCO RLE of the pixels of a window.

    Args:
        bitmap: [h, w], not 0 on the object.
        x, y: Column and row of the window's first pixel; the part outside the image is cut off.
        size: (height, width) of the image.

    Raises:
        ValueError: No pixel of the object is in the image, or no image is of this size.
    """
    if max(size) > LONGEST:
        raise ValueError(f"its image is said to have {size[1]} x {size[0]} pixels, but no image is so large")
    top, left = max(0, -y), max(0, -x)
    inside = bitmap[top : size[0] - y, left : size[1] - x] != 0 if y < size[0] and x < size[1] else bitmap[:0]
    crop = tight_crop(x + left, y + top, inside)
    if not crop.bitmap.size:
        raise ValueError("its mask has no pixel in the image, but an object needs at least one")
    return encode_crop(crop, size)


def odd_even(rings: list[list[float]], size: tuple[int, int]) -> list[list[float]] | dict[str, Any]:
    """The segmentation of the pixels inside an odd number of rings, so that a ring within another is a hole.

    Rings whose boxes are apart stay polygons.

    Raises:
        ValueError: One of several rings has too few points, or reaches far out of the image, or no image is so large.
    """
    if len(rings) == 1:
        return rings
    points = [polygon_points(ring, size) for ring in rings]
    boxes = [(one.min(axis=0), one.max(axis=0)) for one in points]
    pairs = [(one, other) for place, one in enumerate(boxes) for other in boxes[:place]]
    if not any((low < other_high).all() and (other_low < high).all() for (low, high), (other_low, other_high) in pairs):
        return rings
    if max(size) > LONGEST:
        raise ValueError(f"its image is said to have {size[1]} x {size[0]} pixels, but no image is so large")
    from faster_coco_eval.core import mask as coco_mask

    inside = np.zeros(size, dtype=np.uint8)
    for drawn in coco_mask.frPyObjects([ring.ravel() for ring in points], *size):
        inside ^= coco_mask.decode(drawn)
    return bitmap_rle(inside, 0, 0, size)


def join_parts(parts: list[list[float] | dict[str, Any]], size: tuple[int, int]) -> list[list[float]] | dict[str, Any]:
    """The segmentation of an object that is the union of polygons and RLE.

    Polygons alone stay polygons.

    Raises:
        ValueError: A polygon that is drawn has too few points, or reaches far out of the image.
    """
    polygons = [part for part in parts if isinstance(part, list)]
    if len(polygons) == len(parts):
        return polygons
    from faster_coco_eval.core import mask as coco_mask

    points = [polygon_points(polygon, size).ravel() for polygon in polygons]
    drawn = coco_mask.frPyObjects(points, *size) if points else []
    merged = coco_mask.merge([*drawn, *(part for part in parts if isinstance(part, dict))])
    return {"size": list(size), "counts": merged["counts"].decode("ascii")}


def _turn(radians: float) -> np.ndarray:
    cosine, sine = math.cos(radians), math.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])
