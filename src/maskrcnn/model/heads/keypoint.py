"""The keypoints of every detected object: one map per keypoint with one pixel to choose (He et al. 2017, section 5).

Shapes: N boxes, S bins per side, C channels, Kp keypoints, m = 4S.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config import KeypointHeadSettings
from ...ops.devices import at_least_float32
from ...ops.heatmaps import cells_of_points, find_peaks
from ...structures.instances import Instances
from ..inference.fusion import compute_in_blocks, convolve
from ..interfaces import Losses, Positives


class KeypointHead(nn.Module):
    """3x3 convolutions, a transposed convolution to a map per keypoint, and bilinear doubling.

    Args:
        inputs: Channels of the pooled features, C.
        keypoints: Kp.
        settings: What the head is made of.
    """

    def __init__(self, inputs: int, keypoints: int, settings: KeypointHeadSettings) -> None:
        super().__init__()
        self.settings = settings
        self.pool_size = settings.pool_size
        counts = [inputs] + [settings.channels] * settings.convolutions
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(counts))
        self.upsample = nn.ConvTranspose2d(settings.channels, keypoints, 4, stride=2, padding=1)
        for layer in [*self.convolutions, self.upsample]:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> Tensor:
        """[N, S, S, C] pooled features to [N, Kp, m, m] logits."""
        coarse = compute_in_blocks(self._forward_coarse, pooled)
        size = (2 * coarse.shape[2], 2 * coarse.shape[3])
        return F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)

    def loss(self, pooled: Tensor, positives: Positives) -> Losses:
        """Loss `keypoints` of the pooled features [P, S, S, C] of proposals that are objects."""
        targets = [
            keypoint_targets(_keypoints_of(one)[matches], boxes, 4 * self.pool_size)
            for one, matches, boxes in zip(positives.objects, positives.matches, positives.boxes, strict=True)
        ]
        positions, valid = (torch.cat(parts) for parts in zip(*targets, strict=True))
        return {"keypoints": self.cross_entropy(self(pooled), positions, valid)}

    def predict(self, pooled: Tensor, boxes: Tensor) -> Tensor:
        """[N, Kp, 3] x, y in the coordinates of the boxes [N, 4], and score; of pooled features [N, S, S, C]."""
        return self.decode(self(pooled), boxes)

    def cross_entropy(self, logits: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """Weighted mean over the pixels of the valid maps; 0 without any, and still reaching every parameter.

        Args:
            logits: [P, Kp, m, m].
            positions: [P, Kp] of the right pixels.
            valid: [P, Kp] bool.
        """
        if not valid.any():
            return logits.sum() * 0
        return self.settings.loss_weight * F.cross_entropy(logits[valid].flatten(1), positions[valid])

    def decode(self, logits: Tensor, boxes: Tensor) -> Tensor:
        """The middle of each map's highest pixel, once the map is enlarged (bicubic) to the whole pixels of its box.

        Args:
            logits: [N, Kp, m, m].
            boxes: [N, 4]; sides below 1 px count as 1 px.

        Returns:
            [N, Kp, 3] x, y in the coordinates of the boxes, and score.
        """
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
        pixels = sides.ceil()
        found = logits.new_zeros(*logits.shape[:2], 3)
        # Not in bfloat16: a map has places, not eight bits of them.
        with torch.autocast(logits.device.type, enabled=False):
            for i, (width, height) in enumerate(pixels.long().tolist()):
                columns, rows, found[i, :, 2] = find_peaks(logits[i], height, width)
                found[i, :, 0], found[i, :, 1] = columns, rows
        found[..., :2] = (found[..., :2] + 0.5) * (sides / pixels)[:, None] + boxes[:, None, :2]
        if self.settings.score == "share":
            found[..., 2] = (found[..., 2] - logits.flatten(2).logsumexp(dim=2)).exp()
        return found

    def _forward_coarse(self, pooled: Tensor) -> Tensor:
        """[N, S, S, C] to [N, Kp, 2S, 2S] logits."""
        features = pooled.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = convolve(convolution, features, rectify=True)
        return at_least_float32(self.upsample(features))


def keypoint_targets(keypoints: Tensor, boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixel of its map that each annotated keypoint of a proposal should choose.

    Args:
        keypoints: [P, Kp, 3] x, y, visibility of each proposal's object.
        boxes: [P, 4] proposals.
        size: Pixels per side of a map, m.

    Returns:
        [P, Kp] int64 row * m + column, and [P, Kp] bool: the keypoint was annotated and lies in the proposal.
    """
    positions, inside = cells_of_points(keypoints[..., :2], boxes, size)
    valid = inside & (keypoints[..., 2] > 0)
    return positions * valid, valid


def _keypoints_of(target: Instances) -> Tensor:
    if target.keypoints is None:
        raise ValueError("targets need keypoints to train a keypoint head")
    return target.keypoints
