"""From a backbone's maps to those that all heads see: a feature pyramid, or one map as it is."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..config import NeckSettings
from .inference.fusion import convolve
from .norms import make_convolution


class FPN(nn.Module):
    """Feature pyramid network (Lin et al. 2017).

    A top-down pathway with lateral connections: every level gets the same number of channels, coarse meaning added to
    fine detail, and one more level that is every second pixel of the last.
    """

    def __init__(self, inputs: dict[int, int], settings: NeckSettings, *, roi_levels: tuple[int, ...]) -> None:
        """
        Args:
            inputs: Channels of each of the backbone's levels, the finest first.
            settings: Width and norm of the pyramid.
            roi_levels: Those from which boxes are pooled.
        """
        super().__init__()
        width, norm = settings.channels, settings.norm
        self.channels = width
        self.levels = (*inputs, max(inputs) + 1)
        self.roi_levels = roi_levels
        self.lateral = nn.ModuleList(make_convolution(count, width, kernel=1, norm=norm) for count in inputs.values())
        self.output = nn.ModuleList(make_convolution(width, width, kernel=3, norm=norm) for _ in inputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)

    def forward(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        """{level: [B, C_l, H_l, W_l]} of the backbone to {level: [B, channels, H_l, W_l]}, with one level more."""
        levels = list(features)
        pyramid: dict[int, Tensor] = {}
        above: Tensor | None = None
        for level, lateral, output in reversed(list(zip(levels, self.lateral, self.output, strict=True))):
            finer = features[level]
            if above is not None:
                above = F.interpolate(above, size=finer.shape[-2:], mode="nearest")
            merged = convolve(lateral, finer, onto=above)
            pyramid[level] = convolve(output, merged)
            above = merged
        pyramid = {level: pyramid[level] for level in levels}
        pyramid[levels[-1] + 1] = pyramid[levels[-1]][..., ::2, ::2]
        return pyramid


class SingleLevel(nn.Module):
    """Takes one map of the backbone and leaves it as it is (C4, C5 and DC5; He et al. 2017, Table 2a, section 4)."""

    def __init__(self, channels: int, *, source: int, level: int) -> None:
        """
        Args:
            channels: Of the map.
            source: The backbone's level it is taken from.
            level: What it is called from here on, after its stride of 2**level.
        """
        super().__init__()
        self.channels = channels
        self.source = source
        self.levels: tuple[int, ...] = (level,)
        self.roi_levels = self.levels

    def forward(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        """{level: [B, C_l, H_l, W_l]} of the backbone to {level: [B, C, H, W]} of the one map."""
        return {self.levels[0]: features[self.source]}
