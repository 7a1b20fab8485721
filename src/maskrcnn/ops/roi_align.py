"""RoIAlign as an embedding bag (He et al. 2017, Mask R-CNN, section 3).

Each bin of the output is a weighted sum of the few feature vectors around its sampling points. In channels_last a
feature vector is one row of a table, so all bins of all boxes on all levels are one `embedding_bag`, with gradients.

Shapes: N boxes, S bins per side, P sampling points per bin and side, C channels, R rows of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import at_least_float32


@dataclass(frozen=True)
class PyramidTable:
    """The feature vectors of all levels and pictures as rows of one table.

    Args:
        rows: [R, C] feature vectors; a level's pictures follow one another, each row by row.
        starts, heights, widths: [L] int64 first row, and the map's size, of each level.
        scales: [L] input pixels to the level's pixels.
        finest: Name of the first level: its stride is 2**finest.
    """

    rows: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor
    scales: Tensor
    finest: int


def make_table(features: dict[int, Tensor]) -> PyramidTable:
    """Lay feature maps {level: [B, C, H, W]} of consecutive levels out as one table."""
    maps = list(features.values())
    counts = [map.shape[0] * map.shape[2] * map.shape[3] for map in maps]
    rows = [map.permute(0, 2, 3, 1).reshape(count, map.shape[1]) for map, count in zip(maps, counts, strict=True)]
    device = maps[0].device
    return PyramidTable(
        rows=torch.cat(rows),
        starts=torch.tensor([0, *accumulate(counts[:-1])], device=device),
        heights=torch.tensor([map.shape[2] for map in maps], device=device),
        widths=torch.tensor([map.shape[3] for map in maps], device=device),
        scales=torch.tensor([2.0**-level for level in features], device=device),
        finest=min(features),
    )


def roi_align(
    table: PyramidTable, boxes: Tensor, pictures: Tensor, levels: Tensor, *, size: int, samples: int = 2
) -> Tensor:
    """Average `samples` x `samples` bilinear samples in each of `size` x `size` bins of every box.

    No coordinate is rounded. Points up to one pixel outside the map take its border's value, those further out 0.

    Args:
        table: Features from `make_table`.
        boxes: [N, 4] x1, y1, x2, y2 in input pixels; sides below one feature pixel are taken as one.
        pictures: [N] int64 picture of the batch each box belongs to.
        levels: [N] int64 level each box is read from.
        size: Bins per side, S.
        samples: Sampling points per bin and side, P.

    Returns:
        [N, S, S, C] in the dtype of the table.
    """
    level = levels - table.finest
    boxes = at_least_float32(boxes) * table.scales.to(boxes.dtype)[level, None]
    heights, widths = table.heights[level], table.widths[level]
    rows, row_weights = _axis_samples(boxes[:, 1], boxes[:, 3], heights, size, samples)
    columns, column_weights = _axis_samples(boxes[:, 0], boxes[:, 2], widths, size, samples)
    rows = (table.starts[level] + pictures * heights * widths)[:, None, None] + rows * widths[:, None, None]
    indices = (rows[:, :, None, :, None] + columns[:, None, :, None, :]).int()
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    bags = (-1, (2 * samples) ** 2)
    pooled = F.embedding_bag(
        indices.reshape(bags), table.rows, mode="sum", per_sample_weights=weights.reshape(bags).to(table.rows.dtype)
    )
    return pooled.reshape(len(boxes), size, size, table.rows.shape[1])


def _axis_samples(low: Tensor, high: Tensor, extent: Tensor, size: int, samples: int) -> tuple[Tensor, Tensor]:
    """Pixels and weights of the sampling points along one axis; the two axes of bilinear sampling are independent.

    Args:
        low, high: [N] box borders in pixels of the map.
        extent: [N] int64 length of the map.

    Returns:
        [N, S, 2P] int64 pixels, [N, S, 2P] weights: the lower and the upper neighbour of each point.
    """
    steps = torch.arange(size * samples, device=low.device, dtype=low.dtype).add(0.5).div(size * samples)
    points = low[:, None] + (high - low).clamp(min=1)[:, None] * steps
    last = extent[:, None] - 1
    inside = (points >= -1) & (points <= extent[:, None])
    points = torch.minimum(points.clamp(min=0), last.to(points.dtype))
    lower = points.long()
    upper = torch.minimum(lower + 1, last)
    upper_weight = points - lower
    weights = torch.stack([1 - upper_weight, upper_weight], dim=-1) * inside[..., None] / samples
    shape = (len(low), size, 2 * samples)
    return torch.stack([lower, upper], dim=-1).reshape(shape), weights.reshape(shape)
