"""Reference boxes of the region proposal network (Ren et al. 2015, Faster R-CNN, section 3.1.1)."""

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor, nn

from ..config import AnchorSettings
from ..errors import SettingError

Cells = tuple[tuple[float, ...], ...]


class Anchors(nn.Module):
    """Boxes of some sizes and ratios at every pixel of every level.

    Args:
        settings: Sizes of each level, the finest first, and what differs between libraries: torchvision rounds cell
            anchors and measures the stride; detectron2 runs over the sizes first, and it and mmdetection round nothing;
            Detectron rounds shapes in its own way and begins half a stride from the corner.

    Attributes:
        per_pixel: Anchors at each pixel, as many on every level.

    Raises:
        SettingError: Levels differ in how many sizes they have, but share the layer that predicts their logits.
    """

    def __init__(self, settings: AnchorSettings) -> None:
        super().__init__()
        counts = [len(own) for own in settings.shapes or settings.sizes]
        if len(set(counts)) > 1:
            raise SettingError(
                f"anchors.sizes has {counts} sizes on its levels, but all levels share one predicting layer. "
                "Give each level as many sizes as the others."
            )
        if settings.shapes is None:
            self.cells = tuple(_cell_anchors(sizes, settings) for sizes in settings.sizes)
        else:
            self.cells = tuple(tuple((-w / 2, -h / 2, w / 2, h / 2) for w, h in shapes) for shapes in settings.shapes)
        self.offset = settings.offset
        self.per_pixel = len(self.cells[0])
        self.nominal = settings.stride == "nominal"

    def forward(self, features: dict[int, Tensor], input_size: tuple[int, int], dtype: torch.dtype) -> list[Tensor]:
        """Per level [H * W * A, 4] boxes in input pixels, ordered by row, column, anchor.

        Args:
            features: {level: [B, C, H, W]}, the finest first; a nominal stride is 2**level.
            input_size: (height, width) of the padded input.
            dtype: Of the boxes.
        """
        boxes = []
        for cells, (level, map) in zip(self.cells, features.items(), strict=True):
            size = (map.shape[-2], map.shape[-1])
            stride = (2**level,) * 2 if self.nominal else (input_size[0] // size[0], input_size[1] // size[1])
            boxes.append(_grid_anchors(cells, size, stride, self.offset, dtype, map.device))
        return boxes


def check_levels(settings: AnchorSettings, levels: Iterable[int]) -> None:
    """Raise a SettingError unless there are sizes for exactly these levels of the network."""
    names = [str(level) for level in levels]
    key = "sizes" if settings.shapes is None else "shapes"
    count = len(settings.shapes or settings.sizes)
    if count != len(names):
        raise SettingError(
            f"anchors.{key} has {key} for {count} levels, but the network proposes on "
            f"{len(names)} (level {', '.join(names)}). Give one entry per level, for example "
            f"[{', '.join(str(list(settings.sizes[i % len(settings.sizes)])) for i in range(len(names)))}]."
        )


def _cell_anchors(sizes: tuple[float, ...], settings: AnchorSettings) -> Cells:
    """Boxes around the origin with the area size**2 and height / width = ratio; rounded ones at least 2 px a side."""
    dtype = torch.float32 if settings.rounded else torch.float64  # float32 rounds to the pixels torchvision rounds to
    heights = torch.tensor(settings.ratios, dtype=dtype, device="cpu").sqrt()
    sides = (
        torch.stack([1 / heights, heights], dim=1)[:, None] * torch.tensor(sizes, dtype=dtype, device="cpu")[:, None]
    )
    if settings.order == "sizes_outer":
        sides = sides.transpose(0, 1)
    halves = sides.reshape(-1, 2) / 2
    if settings.rounded:
        halves = halves.round().clamp(min=1)
    return tuple(map(tuple, torch.cat([-halves, halves], dim=1).tolist()))


@lru_cache(maxsize=64)
def _grid_anchors(
    cells: Cells,
    map_size: tuple[int, int],
    stride: tuple[int, int],
    offset: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    rows, columns = (
        (torch.arange(n, dtype=dtype, device=device) + offset) * step for n, step in zip(map_size, stride, strict=True)
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (shifts + torch.tensor(cells, dtype=dtype, device=device)).reshape(-1, 4)
