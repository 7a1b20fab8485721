"""A mask for every detected box (He et al. 2017, Mask R-CNN).

Shapes: N boxes, S bins per side, C channels, K classes, m = 2S.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import MaskHeadSettings
from ..ops.masks import resample_bitmap
from ..ops.precision import at_least_float32
from ..structures.masks import MaskCrops

ROUND = 32


class MaskHead(nn.Module):
    """3x3 convolutions, one doubling of the resolution, and a map per class: classes do not compete."""

    def __init__(self, channels: int, classes: int, settings: MaskHeadSettings) -> None:
        super().__init__()
        self.pool_size = settings.pool_size
        counts = [channels] + [settings.channels] * settings.convolutions
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(counts))
        self.upsample = nn.ConvTranspose2d(settings.channels, settings.channels, 2, stride=2)
        self.logits = nn.Conv2d(settings.channels, classes, 1)
        for layer in [*self.convolutions, self.upsample, self.logits]:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """[N, S, S, C] pooled features to [N, K, m, m] logits."""
        features = _rounded_up(pooled).permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = F.relu(convolution(features), inplace=True)
        doubled = double_resolution(features, self.upsample.weight, self.upsample.bias)
        return at_least_float32(self.logits(F.relu(doubled, inplace=True)))[: len(pooled)]


def _rounded_up(pooled: Tensor) -> Tensor:
    """The pooled features with empty ones added up to the next multiple of `ROUND`.

    The number of boxes differs from batch to batch, and the CPU's and the GPU's convolutions prepare, and keep, a
    kernel for every number they meet: without this, memory grows by gigabytes in a long run.
    """
    return F.pad(pooled, (0, 0) * 3 + (0, -len(pooled) % ROUND))


def double_resolution(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 2x2 transposed convolution of stride 2 as one matrix product: its output pixels have one input pixel each.

    Several times faster on a CPU than the convolution, whose backward pass has no fast bfloat16 kernel there.

    Args:
        features: [N, C, H, W].
        weight: [C, D, 2, 2], as of `nn.ConvTranspose2d`.
        bias: [D] or None.

    Returns:
        [N, D, 2H, 2W], channels_last.
    """
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2)
    quads = F.linear(features.permute(0, 2, 3, 1), rows, None if bias is None else bias.repeat(4))
    quads = quads.unflatten(3, (2, 2, weight.shape[1])).transpose(2, 3)
    return quads.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def mask_targets(masks: MaskCrops, matches: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The part of each annotated mask that its proposal sees.

    Args:
        masks: M annotated masks.
        matches: [P] object of each proposal.
        boxes: [P, 4] proposals.
        size: Pixels per side of the target, m.

    Returns:
        [P, m, m] in 0..1.
    """
    # Not in bfloat16: it would blur the outlines, and prepare a kernel anew for every size of bitmap.
    with torch.autocast(boxes.device.type, enabled=False):
        resampled = [
            resample_bitmap(masks.bitmap(i), masks.origin(i), box, masks.size, size)
            for i, box in zip(matches.tolist(), boxes, strict=True)
        ]
    return torch.stack(resampled) if resampled else boxes.new_zeros(0, size, size)


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Mean binary cross-entropy of the true class's map; 0 without objects, and still reaching every parameter.

    Args:
        logits: [P, K, m, m].
        labels: [P] true classes.
        targets: [P, m, m].
    """
    if len(labels) == 0:
        return {"masks": logits.sum() * 0}
    chosen = logits[torch.arange(len(labels), device=labels.device), labels]
    return {"masks": F.binary_cross_entropy_with_logits(chosen, targets.to(chosen))}


def mask_predictions(logits: Tensor, labels: Tensor) -> Tensor:
    """[N, m, m] probabilities of the predicted classes' maps."""
    return logits[torch.arange(len(labels), device=labels.device), labels].sigmoid()
