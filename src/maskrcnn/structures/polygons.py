"""Masks as one polygon each."""

from typing import Literal

import numpy as np

from ..ops.polygons import fit_quadrilateral, outline_bitmap
from .masks import Crop, Masks

PolygonKind = Literal["quad", "contour"]
"""A rectangle at any angle, or the outline of the pixels."""


def crop_polygon(crop: Crop, kind: PolygonKind) -> np.ndarray:
    """[V, 2] float64 x, y in continuous pixels of the picture around the largest part of an object; V = 0 if empty."""
    points = fit_quadrilateral(crop.bitmap) if kind == "quad" else outline_bitmap(crop.bitmap)
    return points + np.array([crop.x, crop.y])


def to_polygons(masks: Masks, kind: PolygonKind) -> list[np.ndarray]:
    """The polygon of each mask, as `crop_polygon` makes it. One object is in memory at a time."""
    return [crop_polygon(masks.crop(i), kind) for i in range(len(masks))]
