"""Feature pyramid network (Lin et al. 2017)."""

import torch.nn.functional as F
from torch import Tensor, nn


class FPN(nn.Module):
    """Top-down pathway with lateral connections: every level gets the same number of channels, coarse meaning
    added to fine detail, and a level 6 that is every second pixel of level 5."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in inputs)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)
        for convolution in [*self.lateral, *self.output]:
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)

    def forward(self, features: dict[int, Tensor]) -> dict[int, Tensor]:
        """{2..5: [B, C_l, H_l, W_l]} of the body to {2..6: [B, channels, H_l, W_l]}."""
        levels = list(features)
        pyramid: dict[int, Tensor] = {}
        above: Tensor | None = None
        for level, lateral, output in reversed(list(zip(levels, self.lateral, self.output, strict=True))):
            merged = lateral(features[level])
            if above is not None:
                merged = merged + F.interpolate(above, size=merged.shape[-2:], mode="nearest")
            pyramid[level] = output(merged)
            above = merged
        pyramid = {level: pyramid[level] for level in levels}
        pyramid[levels[-1] + 1] = pyramid[levels[-1]][..., ::2, ::2]
        return pyramid
