"""A mask for every detected box (He et al. 2017, Mask R-CNN).

Shapes: N boxes, S bins per side, C channels, K classes, M maps per box, m pixels per side of a map.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...config import MaskHeadSettings
from ...ops.devices import at_least_float32
from ..inference.fusion import compute_in_blocks, connect, convolve
from ..interfaces import Losses, Positives
from ..norms import make_convolution, takes_statistics


class MaskHead(nn.Module):
    """Layers on the pooled grid, then maps of logits that are twice as fine, or four times.

    There is a map per class, or one for all if the head is class-agnostic, and with a softmax one more for the
    background, the last. Kind `convolutions`: 3x3 convolutions, transposed convolutions, and a 1x1 convolution; kind
    `linear`: fully connected layers, whose outputs are ordered map, row, column (paper, Table 2e).

    Args:
        inputs: Channels of the pooled features, C.
        classes: K.
        settings: What the head is made of.
        pooled: Bins per side of the pooled features, S.
    """

    def __init__(self, inputs: int, classes: int, settings: MaskHeadSettings, *, pooled: int) -> None:
        super().__init__()
        self.settings = settings
        self.pool_size, self.paste = settings.pool_size, settings.paste
        self.size = pooled * 2**settings.upsamples
        self.separate = settings.activation == "sigmoid" and not settings.class_agnostic
        maps = (1 if settings.class_agnostic else classes) + (settings.activation == "softmax")
        self.convolutions, self.upsamples, self.hidden = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        if settings.kind == "linear":
            counts = [inputs * pooled**2] + [4 * settings.channels] * settings.convolutions
            self.hidden.extend(nn.Linear(a, b) for a, b in pairwise(counts))
            self.logits: nn.Module = nn.Linear(counts[-1], maps * self.size**2)
        else:
            counts = [inputs] + [settings.channels] * settings.convolutions
            self.convolutions.extend(make_convolution(a, b, kernel=3, norm=settings.norm) for a, b in pairwise(counts))
            counts = [counts[-1]] + [settings.channels] * settings.upsamples
            self.upsamples.extend(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairwise(counts))
            self.logits = nn.Conv2d(counts[-1], maps, 1)
        for layer in [*self.hidden, *self.upsamples, self.logits]:
            _initialize(layer)

    def forward(self, pooled: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, S, S, C] pooled features to [N, M, m, m] logits.

        With `labels` [N] and a map per class for itself, of each box only its class's map: [N, 1, m, m]. That is all
        a sigmoid needs, and of 80 maps a small part of the work and memory.
        """
        if isinstance(self.logits, nn.Linear):
            return self._forward_linear(pooled.flatten(1))
        rows = (pooled,) if labels is None or not self.separate else (pooled, labels)
        return self._forward_maps(*rows) if takes_statistics(self) else compute_in_blocks(self._forward_maps, *rows)

    def loss(self, pooled: Tensor, positives: Positives) -> Losses:
        """Loss `masks` of the pooled features [P, S, S, C] of proposals that are objects."""
        targets = positives.mask_targets(self.size, self.settings.targets)
        return {"masks": self.cross_entropy(self(pooled, positives.labels), positives.labels, targets)}

    def predict(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """[N, m, m] probabilities inside each box, of pooled features [N, S, S, C] and predicted classes [N]."""
        return self.probabilities(self(pooled, labels), labels)

    def cross_entropy(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Mean over the pixels; 0 without objects, and still reaching every parameter.

        Sigmoid: binary, of the true class's map alone (paper, section 3). Softmax: over all maps, each pixel being of
        the true class or background (paper, Table 2b).

        Args:
            logits: [P, M, m, m].
            labels: [P] true classes.
            targets: [P, m, m] in 0..1.
        """
        if len(labels) == 0:
            return logits.sum() * 0
        if self.settings.activation == "sigmoid":
            chosen = self._maps_of(logits, labels)
            return F.binary_cross_entropy_with_logits(chosen, targets.to(chosen))
        logarithms = logits.log_softmax(dim=1)
        background = logarithms[:, -1]
        return -torch.lerp(background, self._maps_of(logarithms, labels), targets.to(background)).mean()

    def probabilities(self, logits: Tensor, labels: Tensor) -> Tensor:
        """[N, m, m] of the predicted classes' maps, at least in single precision.

        Args:
            logits: [N, M, m, m].
            labels: [N] predicted classes.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # masks are pasted with these numbers
        if self.settings.activation == "sigmoid":
            return self._maps_of(logits, labels).sigmoid()
        return self._maps_of(logits.softmax(dim=1), labels)

    def _maps_of(self, maps: Tensor, labels: Tensor) -> Tensor:
        """[N, m, m]: of [N, M, m, m] maps those of the labels' classes, or the only ones."""
        if self.settings.class_agnostic or maps.shape[1] == 1:
            return maps[:, 0]
        return maps[torch.arange(len(labels), device=labels.device), labels]

    def _forward_maps(self, pooled: Tensor, labels: Tensor | None = None) -> Tensor:
        features = pooled.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = convolve(convolution, features, rectify=True)
        quads = features.permute(0, 2, 3, 1)
        for i, upsample in enumerate(self.upsamples):
            weight, bias = upsample.get_parameter("weight"), upsample.get_parameter("bias")
            quads = double_resolution(join_quads(quads) if i else quads, weight, bias, rectify=True)
        logits = join_quads(self._read_maps(quads, labels))
        return at_least_float32(logits.permute(0, 3, 1, 2))

    def _read_maps(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """[N, ..., C] features to [N, ..., M] logits, or with labels to [N, ..., 1]."""
        weight, bias = self.logits.get_parameter("weight").flatten(1), self.logits.get_parameter("bias")
        if labels is None:
            return connect(features, weight, bias)
        chosen = torch.bmm(features.flatten(1, -2), weight[labels, :, None]) + bias[labels, None, None]
        return chosen.view(*features.shape[:-1], 1)

    def _forward_linear(self, features: Tensor) -> Tensor:
        for layer in self.hidden:
            features = connect(features, layer.get_parameter("weight"), layer.get_parameter("bias"), rectify=True)
        return at_least_float32(self.logits(features)).unflatten(1, (-1, self.size, self.size))


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_uniform_(layer.weight, a=1)
    else:
        nn.init.kaiming_normal_(layer.get_parameter("weight"), mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(layer.get_parameter("bias"))


def double_resolution(features: Tensor, weight: Tensor, bias: Tensor | None, *, rectify: bool = False) -> Tensor:
    """A 2x2 transposed convolution of stride 2 as one matrix product: its output pixels have one input pixel each.

    Several times faster on a CPU than the convolution, whose backward pass has no fast bfloat16 kernel there.

    Args:
        features: [N, H, W, C].
        weight: [C, D, 2, 2], as of `nn.ConvTranspose2d`.
        bias: [D] or None.
        rectify: Negative outputs become 0.

    Returns:
        [N, H, W, 2, 2, D]: the four pixels of each, which `join_quads` puts in place. What follows pixel by pixel can
        come before that, when there is less to move.
    """
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2)
    quads = connect(features, rows, None if bias is None else bias.repeat(4), rectify=rectify)
    return quads.unflatten(3, (2, 2, weight.shape[1]))


def join_quads(quads: Tensor) -> Tensor:
    """[N, H, W, 2, 2, D] to the map [N, 2H, 2W, D]."""
    return quads.transpose(2, 3).flatten(3, 4).flatten(1, 2)
