"""Bitmaps to mask targets, and back from a head's grid to pixels.

Bilinear sampling on a regular grid is separable: resampling a bitmap is a small matrix for its rows, one for its
columns, and two products.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_bitmap(bitmap: Tensor, origin: tuple[int, int], box: Tensor, extent: tuple[int, int], size: int) -> Tensor:
    """RoIAlign of one bitmap that is known inside a window only.

    Bins are averaged over ceil(bin side) sampling points per side, so that no pixel of a large box is skipped.

    Args:
        bitmap: [h, w] pixels of the window; those outside it are 0.
        origin: (x, y) of the window's top left pixel.
        box: [4] x1, y1, x2, y2.
        extent: (height, width) of the picture, at whose border sampling points are held.
        size: Bins per side, S.

    Returns:
        [S, S] in 0..1, in the dtype of the box.
    """
    x1, y1, x2, y2 = box.tolist()
    rows = _sampling_matrix(y1, y2, origin[1], bitmap.shape[0], extent[0], size, box)
    columns = _sampling_matrix(x1, x2, origin[0], bitmap.shape[1], extent[1], size, box)
    return rows @ bitmap.to(box.dtype) @ columns.T


def _sampling_matrix(low: float, high: float, origin: int, length: int, extent: int, size: int, like: Tensor) -> Tensor:
    """[S, length] weights of the window's pixels in each bin along one axis; `like` gives dtype and device."""
    side = max(high - low, 1.0)
    samples = math.ceil(side / size)
    steps = torch.arange(size * samples, dtype=like.dtype, device=like.device).add(0.5).div(size * samples)
    points = low + side * steps
    inside = (points >= -1) & (points <= extent)
    pixels = torch.arange(origin, origin + length, dtype=like.dtype, device=like.device)
    weights = (1 - (points.clamp(0, extent - 1)[:, None] - pixels).abs()).clamp(min=0) * inside[:, None]
    return weights.view(size, samples, length).mean(dim=1)


def paste_window(box: Sequence[float], grid: int) -> tuple[int, int, int, int]:
    """Pixels x1, y1, x2, y2 (the last ones included) over which a mask grid with a border of one cell is spread.

    The grid sees the box and half a cell around it, as in Detectron: the box grows by one cell of `grid`.
    """
    x1, y1, x2, y2 = box
    grown = (grid + 2) / grid
    half_width, half_height = (x2 - x1) / 2 * grown, (y2 - y1) / 2 * grown
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return int(x - half_width), int(y - half_height), int(x + half_width), int(y + half_height)


def spread_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Enlarge a mask [m, m], with a border of one empty cell, to [height, width] by bilinear interpolation."""
    padded = F.pad(mask, (1, 1, 1, 1))[None, None]
    return F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False)[0, 0]
