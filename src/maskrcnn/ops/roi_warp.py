"""RoIWarp (Dai et al. 2016, Instance-aware semantic segmentation via multi-task network cascades, section 3.2).

As He et al. 2017 describe and compare it (Mask R-CNN, section 3 and table 2c): bilinear as RoIAlign, but of a box that
has been rounded to whole pixels as in RoIPool.
"""

from __future__ import annotations

from torch import Tensor

from .roi_align import PyramidTable, roi_align
from .roi_pool import box_pixels


def roi_warp(
    table: PyramidTable,
    boxes: Tensor,
    pictures: Tensor,
    levels: Tensor,
    *,
    size: int,
    samples: int,
    largest: bool = False,
) -> Tensor:
    """Join the bilinear samples of each of `size` x `size` bins of every rounded box.

    Args:
        table: Features from `make_table`.
        boxes: [N, 4] x1, y1, x2, y2 in input pixels; rounded, both corner pixels belong to the box.
        pictures, levels, size, samples, largest: As in `roi_align`.

    Returns:
        [N, S, S, C] in the dtype of the table.
    """
    level = levels - table.finest
    pixels = box_pixels(boxes, table, level)
    pixels[:, 2:] = pixels[:, 2:].maximum(pixels[:, :2]) + 1
    rounded = pixels / table.scales.to(pixels.dtype)[level, None]
    return roi_align(table, rounded, pictures, levels, size=size, samples=samples, half_pixel=True, largest=largest)
