"""Reference boxes of the region proposal network."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from ..config import AnchorSettings


class Anchors(nn.Module):
    """One size per level and some ratios, at every pixel of the level.

    Cell anchors are rounded to whole pixels and the stride is the padded input over the map's size, as in torchvision.
    """

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__()
        self.cells = tuple(_cell_anchors(size, settings.ratios) for size in settings.sizes)
        self.per_pixel = len(settings.ratios)

    def forward(self, features: dict[int, Tensor], input_size: tuple[int, int], dtype: torch.dtype) -> list[Tensor]:
        """Per level [H * W * A, 4] boxes in input pixels, ordered by row, column, ratio."""
        return [
            _grid_anchors(cells, tuple(map.shape[-2:]), input_size, dtype, map.device)
            for cells, map in zip(self.cells, features.values(), strict=True)
        ]


def _cell_anchors(size: float, ratios: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Boxes around the origin with the area size**2 and height / width = ratio, at least 2 px a side."""
    heights = torch.tensor(ratios, device="cpu").sqrt()
    halves = (torch.stack([1 / heights, heights], dim=1) * size / 2).round().clamp(min=1)
    return tuple(map(tuple, torch.cat([-halves, halves], dim=1).tolist()))


@lru_cache(maxsize=64)
def _grid_anchors(
    cells: tuple[tuple[float, ...], ...],
    map_size: tuple[int, int],
    input_size: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    rows, columns = (torch.arange(n, device=device) * (full // n) for n, full in zip(map_size, input_size, strict=True))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4).to(dtype)
    return (shifts + torch.tensor(cells, dtype=dtype, device=device)).reshape(-1, 4)
