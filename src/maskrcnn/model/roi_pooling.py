"""The features of boxes on a fixed grid, by the method of the settings."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import RoISettings
from ..ops.levels import assign_levels
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
