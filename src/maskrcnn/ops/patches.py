"""Small windows of feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from .roi_align import PyramidTable


def neighbors(table: PyramidTable, pixels: Tensor, *, reach: int) -> tuple[Tensor, Tensor]:
    """Rows of the pixels around some.

    Args:
        table: Of the maps.
        pixels: [P] among the pixels of all images: image after image, and in each level after level.
        reach: How far they may be away in rows and columns.

    Returns:
        [P, S, S] rows of the table, S = 2 * reach + 1, and [P, S, S] bool: they are inside the map.
    """
    ends = torch.cumsum(table.heights * table.widths, dim=0)
    images, places = pixels // ends[-1], pixels % ends[-1]
    levels = torch.searchsorted(ends, places, right=True)
    heights, widths = table.heights[levels], table.widths[levels]
    places = places - (ends[levels] - heights * widths)
    steps = torch.arange(-reach, reach + 1, device=pixels.device)
    y = (places // widths)[:, None] + steps
    x = (places % widths)[:, None] + steps
    inside = ((y >= 0) & (y < heights[:, None]))[:, :, None] & ((x >= 0) & (x < widths[:, None]))[:, None]
    rows = ((images * heights)[:, None] + y)[:, :, None] * widths[:, None, None] + x[:, None]
    return torch.where(inside, table.starts[levels][:, None, None] + rows, 0), inside
