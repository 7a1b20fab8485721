"""The features of boxes on a fixed grid, each from the level of the pyramid that suits its size."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import RoISettings
from ..ops.roi_align import PyramidTable, make_table, roi_align
from ..ops.roi_pool import roi_pool, roi_warp


@dataclass(frozen=True)
class RoIPooling:
    """Reads each box from the level that suits its size.

    Args:
        settings: Method of pooling, and its details.
        levels: Consecutive levels that boxes are read from, the finest first; of a single one, all are.
    """

    settings: RoISettings
    levels: tuple[int, ...]

    def table(self, features: dict[int, Tensor]) -> PyramidTable:
        """Maps {level: [B, C, H, W]}, of which there may be more, laid out for `pool`."""
        return make_table({level: features[level] for level in self.levels})

    def pool(self, table: PyramidTable, boxes: list[Tensor], size: int) -> Tensor:
        """Features of each image's boxes [N_i, 4], in input pixels, joined: [N, size, size, C]."""
        settings = self.settings
        images = torch.cat([torch.full((len(group),), i, device=group.device) for i, group in enumerate(boxes)])
        joined = torch.cat(boxes)
        levels = assign_levels(joined, self.levels[0], self.levels[-1], settings.level_slack)
        if settings.method == "pool":
            return roi_pool(table, joined, images, levels, size=size)
        samples, largest = settings.sampling_ratio, settings.reduce == "max"
        if settings.method == "warp":
            return roi_warp(table, joined, images, levels, size=size, samples=samples, largest=largest)
        half = settings.half_pixel
        return roi_align(table, joined, images, levels, size=size, samples=samples, half_pixel=half, largest=largest)


def assign_levels(
    boxes: Tensor, finest: int = 2, coarsest: int = 5, slack: tuple[float, float] = (0.0, 1e-6)
) -> Tensor:
    """Give each box the pyramid level whose stride suits its size.

    A 224 px square goes to level 4; each halving of its side goes one level finer
    (Lin et al. 2017, "Feature Pyramid Networks", equation 1).

    Args:
        boxes: [N, 4] x1, y1, x2, y2 in input pixels.
        finest, coarsest: Levels that exist; level l has a stride of 2**l pixels.
        slack: Rounding guards (a, b) of floor(4 + log2(side / 224 + a) + b), where side is the root of the area.

    Returns:
        [N] int64 levels in finest..coarsest. An empty box gets the finest.
    """
    if finest == coarsest:
        return torch.full((len(boxes),), finest, device=boxes.device)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    root = sides.prod(dim=1).sqrt()
    return torch.floor(4 + torch.log2(root / 224 + slack[0]) + slack[1]).clamp(finest, coarsest).long()
