"""The inner boundary of a mask, on which Boundary IoU is measured (Cheng et al. 2021, "Boundary IoU")."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ..structures.masks import Crop, encode_crop
from ..structures.rle import counts_from_text, crop_from_counts
from .segmentations import Size

WIDTH = 0.02
"""Width of a boundary as a part of the image's diagonal, the paper's choice for COCO."""


def boundary_of(mask: dict, size: Size) -> dict:
    """Pixels of a mask whose distance to a pixel outside it (also outside the image) is at most the boundary's width.

    The distance is that of chess moves, and the width 2 % of the image's diagonal, rounded, at least 1 pixel, as in
    the paper's code (https://github.com/bowenc0221/boundary-iou-api, `mask_to_boundary`). faster-coco-eval rounds
    halves down, which gives another width in images such as 45 x 60, so its own boundaries are not used.

    Args:
        mask: Checked compressed RLE.
        size: (height, width) of the image.

    Returns:
        Compressed RLE.
    """
    counts = mask["counts"]
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    x, y, bitmap = crop_from_counts(counts_from_text(text), size)
    if not bitmap.size:
        return mask
    side = 2 * boundary_width(size) + 1
    inside = cv2.erode(np.pad(bitmap.view(np.uint8), 1), np.ones((side, side), np.uint8))[1:-1, 1:-1]
    return encode_crop(Crop(x, y, bitmap & ~inside.view(bool)), size)


def boundary_width(size: Size) -> int:
    """In pixels."""
    return max(1, round(WIDTH * math.sqrt(size[0] ** 2 + size[1] ** 2)))
