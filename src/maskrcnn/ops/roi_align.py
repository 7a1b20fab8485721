"""RoIAlign as an embedding bag (He et al. 2017, Mask R-CNN, section 3).

Each bin of the output is a weighted sum of the few feature vectors around its sampling points. In channels_last a
feature vector is one row of a table, so all bins of all boxes on all levels are one `embedding_bag`, with gradients.

The weights of bilinear sampling are those of the row times those of the column, so both axes are prepared apart. Where
the number of sampling points depends on the box, they lie at most one pixel apart: the points of a bin share pixels,
and each pixel is read once per bin with the sum of its weights.

Shapes: N boxes, S bins per side, P sampling points per bin and side, C channels, R rows of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import at_least_float32, carry

LARGEST_SAMPLING = 2**25
"""Most values that are held at once where every sampling point is computed."""


@dataclass(frozen=True)
class PyramidTable:
    """The feature vectors of all levels and images as rows of one table.

    Args:
        rows: [R, C] feature vectors; a level's images follow one another, each row by row.
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
    rows = torch.cat([map.permute(0, 2, 3, 1).flatten(0, 2) for map in maps])
    if rows.requires_grad and rows.device.type == "cpu":
        # Gradients of many boxes meet in a row, and are summed there in its dtype: sums in bfloat16 stop growing.
        rows = at_least_float32(rows)
    counts = [map.shape[0] * map.shape[2] * map.shape[3] for map in maps]
    sizes = [[0, *accumulate(counts[:-1])], [map.shape[2] for map in maps], [map.shape[3] for map in maps]]
    starts, heights, widths = carry(torch.tensor(sizes), rows.device)
    scales = carry(torch.tensor([2.0**-level for level in features]), rows.device)
    return PyramidTable(rows, starts, heights, widths, scales, finest=min(features))


@dataclass(frozen=True)
class AxisPoints:
    """Sampling points of every box along one axis.

    Args:
        places: [N, S, P] pixels of the map, within it; P is the largest of `counts`.
        shares: [N, S, P] 1 for a point of the box that is at most one pixel outside the map, 0 for all others.
        counts: [N] int64 points per bin of each box, at least 1 (of share 0 for a box without area).
        last: [N, 1, 1] int64 last pixel of the map.
    """

    places: Tensor
    shares: Tensor
    counts: Tensor
    last: Tensor

    def neighbors(self) -> tuple[Tensor, Tensor]:
        """[N, S, P, 2] int64 pixels around each point, and [N, S, P, 2] their weights."""
        lower = self.places.long()
        upper_weight = self.places - lower
        weights = torch.stack([1 - upper_weight, upper_weight], dim=-1) * self.shares[..., None]
        return torch.stack([lower, torch.minimum(lower + 1, self.last)], dim=-1), weights


def roi_align(
    table: PyramidTable,
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    *,
    size: int,
    samples: int = 2,
    half_pixel: bool = False,
    largest: bool = False,
) -> Tensor:
    """Join the bilinear samples of each of `size` x `size` bins of every box.

    No coordinate is rounded. Points up to one pixel outside the map take its border's value, those further out 0.

    Args:
        table: Features from `make_table`.
        boxes: [N, 4] x1, y1, x2, y2 in input pixels; they get no gradient.
        images: [N] int64 image of the batch each box belongs to.
        levels: [N] int64 level each box is read from.
        size: Bins per side, S.
        samples: Sampling points per bin and side; 0: for each box and axis as many as its bins have pixels, rounded up.
        half_pixel: Pixel centers lie at .5, and a box may be of any size; else they lie at whole numbers, and sides
            below one feature pixel are taken as one.
        largest: Take the largest sample of a bin in each channel, not their average.

    Returns:
        [N, S, S, C] in the dtype of the table; 0 for boxes without a sample.
    """
    if not len(boxes):
        return table.rows[:0, None, None].expand(0, size, size, -1)
    level = levels - table.finest
    boxes = at_least_float32(boxes.detach())
    scaled = boxes * table.scales.to(boxes.dtype)[level, None]
    heights, widths = table.heights[level], table.widths[level]
    y = _axis_points(scaled[:, 1], scaled[:, 3], heights, size, samples, half_pixel)
    x = _axis_points(scaled[:, 0], scaled[:, 2], widths, size, samples, half_pixel)
    starts = table.starts[level] + images * heights * widths
    if largest:
        return _largest(table.rows, y, x, starts, widths)
    return _average(table.rows, y, x, starts, widths) if samples else _merged_average(table.rows, y, x, starts, widths)


def _axis_points(low: Tensor, high: Tensor, extent: Tensor, size: int, samples: int, half_pixel: bool) -> AxisPoints:
    """Where the bins of boxes between `low` and `high` [N], in pixels of maps of `extent` [N], are sampled."""
    low, high = (low - 0.5, high - 0.5) if half_pixel else (low, high)
    length = high - low if half_pixel else (high - low).clamp(min=1)
    bin = length / size
    per_axis = bin.new_full(bin.shape, samples).long() if samples else bin.ceil().long()
    counts = per_axis.clamp(min=1)
    numbers = torch.arange(samples or int(counts.max()), device=low.device)
    bins = low[:, None] + torch.arange(size, device=low.device) * bin[:, None]
    places = bins[..., None] + ((numbers + 0.5) * (bin / counts)[:, None])[:, None]
    limit, last = extent[:, None, None], extent[:, None, None] - 1
    shares = (places >= -1) & (places <= limit) & (numbers < per_axis[:, None])[:, None]
    return AxisPoints(torch.minimum(places.clamp(min=0), last.to(places.dtype)), shares.to(places.dtype), counts, last)


def _average(table: Tensor, y: AxisPoints, x: AxisPoints, starts: Tensor, widths: Tensor) -> Tensor:
    """[N, S, S, C] where all boxes have the same number of points: bags of one size, four entries per point."""
    (rows, row_weights), (columns, column_weights) = (axis.neighbors() for axis in (y, x))
    count, size, points = rows.shape[:3]
    shape, bags = (count, size, 2 * points), (-1, 4 * points**2)
    rows = starts[:, None, None] + rows.reshape(shape) * widths[:, None, None]
    indices = (rows[:, :, None, :, None] + columns.reshape(shape)[:, None, :, None, :]).int()
    weights = (row_weights / points).reshape(shape)[:, :, None, :, None] * (
        (column_weights / points).reshape(shape)[:, None, :, None, :]
    )
    pooled = F.embedding_bag(
        indices.reshape(bags), table, mode="sum", per_sample_weights=weights.reshape(bags).to(table.dtype)
    )
    return pooled.reshape(count, size, size, -1)


def _merged_average(table: Tensor, y: AxisPoints, x: AxisPoints, starts: Tensor, widths: Tensor) -> Tensor:
    """[N, S, S, C] where each box has its own number of points: one entry per pixel that a bin touches."""
    (rows, row_weights, tall), (columns, column_weights, wide) = (_merge(axis) for axis in (y, x))
    rows = starts[:, None, None] + rows * widths[:, None, None]
    order, groups = group_pairs(tall, wide)
    counts = [count for count, _, _ in groups]
    size = rows.shape[1]
    parts = (part[order].split(counts) for part in (rows.int(), row_weights, columns.int(), column_weights))
    indices, weights = [], []
    for (_, i, j), row, row_weight, column, column_weight in zip(groups, *parts, strict=True):
        indices.append((row[:, :, None, :i, None] + column[:, None, :, None, :j]).flatten())
        weights.append((row_weight[:, :, None, :i, None] * column_weight[:, None, :, None, :j]).flatten())
    lengths = (tall * wide)[order].repeat_interleave(size * size).cumsum(0)
    pooled = F.embedding_bag(
        torch.cat(indices),
        table,
        F.pad(lengths, (1, 0)).int(),
        mode="sum",
        per_sample_weights=torch.cat(weights).to(table.dtype),
        include_last_offset=True,
    )
    return pooled.reshape(len(order), -1)[order.argsort()].reshape(len(order), size, size, -1)


def _merge(axis: AxisPoints) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels [N, S, K] that bins touch along one axis, their weights, and [N] how many of the K each box needs."""
    pixels, weights = axis.neighbors()
    final = pixels.gather(2, (axis.counts - 1)[:, None, None, None].expand(-1, pixels.shape[1], 1, 2))
    ends = torch.cat([pixels[:, :, :1], final], dim=2).flatten(2)
    first = ends.amin(dim=2, keepdim=True)
    spans = (ends.amax(dim=2) - first[..., 0] + 1).amax(dim=1)
    longest = int(spans.max())
    places = (pixels.flatten(2) - first).clamp(0, longest - 1)
    weights = (weights / axis.counts[:, None, None, None]).flatten(2)
    merged = weights.new_zeros(*first.shape[:2], longest).scatter_add(2, places, weights)
    return torch.minimum(first + torch.arange(longest, device=first.device), axis.last), merged, spans


def _largest(table: Tensor, y: AxisPoints, x: AxisPoints, starts: Tensor, widths: Tensor) -> Tensor:
    """[N, S, S, C] largest sample of each bin and channel; a bag of four entries is one sample."""
    (rows, row_weights), (columns, column_weights) = (axis.neighbors() for axis in (y, x))
    rows = starts[:, None, None, None] + rows * widths[:, None, None, None]
    order, groups = group_pairs(y.counts, x.counts)
    size, channels = rows.shape[1], table.shape[1]
    parts = (part[order].split([n for n, _, _ in groups]) for part in (rows, row_weights, columns, column_weights))
    pooled = []
    for (_, i, j), *group in zip(groups, *parts, strict=True):
        most = max(1, LARGEST_SAMPLING // (size * size * i * j * channels))
        for row, row_weight, column, column_weight in zip(*(part.split(most) for part in group), strict=True):
            indices = row[:, :, None, :i, None, :, None] + column[:, None, :, None, :j, None, :]
            weights = row_weight[:, :, None, :i, None, :, None] * column_weight[:, None, :, None, :j, None, :]
            values = F.embedding_bag(
                indices.reshape(-1, 4).int(),
                table,
                mode="sum",
                per_sample_weights=weights.reshape(-1, 4).to(table.dtype),
            )
            pooled.append(values.reshape(len(row), size * size, i * j, channels).amax(dim=2))
    return torch.cat(pooled)[order.argsort()].reshape(len(order), size, size, channels)


def group_pairs(first: Tensor, second: Tensor) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """Order [N] that brings equal pairs together, and (how many, first, second) of each pair in that order."""
    base = int(second.max()) + 1
    keys, order = (first * base + second).sort(stable=True)
    pairs, counts = keys.unique_consecutive(return_counts=True)
    return order, [(count, *divmod(pair, base)) for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)]
