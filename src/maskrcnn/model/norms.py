"""Convolution and normalisation as one step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import BackboneSettings

GROUPS = 32


class FrozenBatchNorm(nn.Module):
    """Batch norm with fixed statistics and a fixed scale: an affine map that training leaves alone."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def fold_into(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that does the same as one with `kernel` [C, D, h, w] and this norm."""
        scale = self.weight * (self.running_var + self.epsilon).rsqrt()
        return kernel * scale[:, None, None, None], self.bias - self.running_mean * scale


class NormedConvolution(nn.Module):
    """Convolution without bias, then the norm of the backbone.

    A frozen batch norm is folded into the convolution's weights, which saves two passes over the activations.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, frozen: bool, settings: BackboneSettings
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = _make_norm(outputs, frozen, settings)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        if frozen:
            self.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        if not isinstance(self.norm, FrozenBatchNorm):
            return self.norm(self.convolution(features))
        weight, bias = self.norm.fold_into(self.convolution.weight)
        return F.conv2d(features, weight, bias, self.convolution.stride, self.convolution.padding)


def _make_norm(channels: int, frozen: bool, settings: BackboneSettings) -> nn.Module:
    if settings.norm == "group":
        return nn.GroupNorm(GROUPS, channels)
    if settings.norm == "batch" and not frozen:
        return nn.BatchNorm2d(channels, eps=settings.norm_epsilon)
    return FrozenBatchNorm(channels, settings.norm_epsilon)
