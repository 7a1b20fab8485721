"""What RoIAlign is compared with: pooling of boxes that are rounded to whole pixels.

RoIPool (Girshick 2015, Fast R-CNN, section 2.1): box and bins are rounded, the largest value counts. RoIWarp (Dai et
al. 2016, Instance-aware semantic segmentation via multi-task network cascades, section 3.2): the box alone is rounded.

Shapes: N boxes, S bins per side, C channels, R rows of the table.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .devices import at_least_float32
from .roi_align import PyramidTable, group_pairs, roi_align

LARGEST_PART = 2**21
"""Values that are compared at once; so many stay in a processor's cache."""


def roi_pool(table: PyramidTable, boxes: Tensor, images: Tensor, levels: Tensor, *, size: int) -> Tensor:
    """Largest value of each channel in each of `size` x `size` bins of every box.

    Args:
        table: Features from `make_table`.
        boxes: [N, 4] x1, y1, x2, y2 in input pixels; rounded, both corner pixels belong to the box.
        images: [N] int64 image of the batch each box belongs to.
        levels: [N] int64 level each box is read from.
        size: Bins per side, S.

    Returns:
        [N, S, S, C] in the dtype of the table; 0 for bins outside the map.
    """
    channels = table.rows.shape[1]
    if not len(boxes):
        return table.rows[:0, None, None].expand(0, size, size, channels)
    level = levels - table.finest
    pixels = box_pixels(boxes, table, level)
    heights, widths = table.heights[level], table.widths[level]
    rows, tall = _axis_bins(pixels[:, 1], pixels[:, 3], heights, size)
    columns, wide = _axis_bins(pixels[:, 0], pixels[:, 2], widths, size)
    filled = (tall > 0)[:, :, None, None] & (wide > 0)[:, None, :, None]
    rows = (table.starts[level] + images * heights * widths)[:, None, None] + rows * widths[:, None, None]
    order, groups = group_pairs(tall.amax(dim=1).clamp(min=1), wide.amax(dim=1).clamp(min=1))
    parts = (part[order].split([count for count, _, _ in groups]) for part in (rows, columns))
    indices = [
        (row[:, :, None, :i, None] + column[:, None, :, None, :j]).reshape(-1, i * j)
        for (_, i, j), row, column in zip(groups, *parts, strict=True)
    ]
    largest = _largest_rows(table.rows, indices).reshape(len(order), -1)[order.argsort()]
    return largest.reshape(len(order), size, size, channels) * filled


def roi_warp(
    table: PyramidTable,
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    *,
    size: int,
    samples: int,
    largest: bool = False,
) -> Tensor:
    """Join the bilinear samples of each of `size` x `size` bins of every rounded box (RoIWarp).

    As He et al. 2017 describe and compare it (Mask R-CNN, section 3 and table 2c): bilinear as RoIAlign, but of a box
    that has been rounded to whole pixels as in RoIPool.

    Args:
        table: Features from `make_table`.
        boxes: [N, 4] x1, y1, x2, y2 in input pixels; rounded, both corner pixels belong to the box.
        images, levels, size, samples, largest: As in `roi_align`.

    Returns:
        [N, S, S, C] in the dtype of the table.
    """
    level = levels - table.finest
    pixels = box_pixels(boxes, table, level)
    pixels[:, 2:] = pixels[:, 2:].maximum(pixels[:, :2]) + 1
    rounded = pixels / table.scales.to(pixels.dtype)[level, None]
    return roi_align(table, rounded, images, levels, size=size, samples=samples, half_pixel=True, largest=largest)


def box_pixels(boxes: Tensor, table: PyramidTable, level: Tensor) -> Tensor:
    """[N, 4] corner pixels of boxes on the maps with the numbers `level` [N], halves rounded away from 0."""
    boxes = at_least_float32(boxes)
    scaled = boxes * table.scales.to(boxes.dtype)[level, None]
    whole = scaled.trunc()
    return whole + ((scaled - whole).abs() >= 0.5) * scaled.sign()


def _axis_bins(first: Tensor, last: Tensor, extent: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixels [N, S, K] of bins along one axis, the last one repeated in shorter bins, and [N, S] how many they have."""
    bin = (last - first + 1).clamp(min=1) / size
    edges = torch.arange(size + 1, device=bin.device) * bin[:, None]
    limit = extent[:, None]
    low = (edges[:, :-1].floor() + first[:, None]).long().clamp(min=0).minimum(limit)
    high = (edges[:, 1:].ceil() + first[:, None]).long().clamp(min=0).minimum(limit)
    counts = high - low
    steps = torch.arange(max(1, int(counts.max())), device=bin.device)
    pixels = (low[..., None] + steps).minimum(high[..., None] - 1).clamp(min=0)
    return pixels.minimum(limit[..., None] - 1), counts


def _largest_rows(table: Tensor, indices: list[Tensor]) -> Tensor:
    """Largest of the rows in each line of index matrices [M, K], joined: [sum of M, C].

    For the gradient only the place of the largest is kept, not all values.
    """
    trained = torch.is_grad_enabled() and table.requires_grad
    rows, found = table.detach(), []
    for group in indices:
        for lines in group.split(max(1, LARGEST_PART // (group.shape[1] * table.shape[1]))):
            values = rows.index_select(0, lines.flatten()).reshape(*lines.shape, -1)
            found.append(lines.gather(1, values.argmax(dim=1)) if trained else values.amax(dim=1))
    return table.gather(0, torch.cat(found)) if trained else torch.cat(found)
