"""Convolution and normalization as one step."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.features import HeadNorm
from ..errors import SettingError

Norm = Literal["frozen_batch", "batch", "sync_batch", "group"]
GROUPS = 32


class FrozenBatchNorm(nn.Module):
    """Batch norm with fixed statistics and a fixed scale: an affine map that training leaves alone."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.eps = epsilon
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        scale, shift = affine_map(self)
        return torch.addcmul(shift[:, None, None], features, scale[:, None, None])


class GroupNorm(nn.GroupNorm):
    """torch's, which is exact only for maps whose channels come first.

    For channels_last its float32 kernel on the CPU takes the variance as the difference of two large sums, and loses
    two digits: detected boxes then differ by 0.002 px.
    """

    def forward(self, features: Tensor) -> Tensor:
        if features.device.type != "cpu" or features.dtype != torch.float32:
            return super().forward(features)
        return super().forward(features.contiguous()).contiguous(memory_format=torch.channels_last)


BatchNorm = FrozenBatchNorm | nn.BatchNorm2d | nn.SyncBatchNorm


class NormedConvolution(nn.Module):
    """Convolution without bias that keeps the image's size but for its stride, then a norm.

    A frozen batch norm is folded into the convolution's weights, which saves two passes over the activations.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        norm: Norm,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.convolution = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=padding, dilation=dilation, groups=groups, bias=False
        )
        self.norm = make_norm(outputs, norm, epsilon)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        if not isinstance(self.norm, FrozenBatchNorm):
            return self.norm(self.convolution(features))
        own = self.convolution
        weight, bias = fold_norm(own.weight, self.norm)
        return F.conv2d(features, weight, bias, own.stride, own.padding, own.dilation, own.groups)


def make_convolution(
    inputs: int, outputs: int, *, kernel: int, norm: HeadNorm, stride: int = 1
) -> nn.Conv2d | NormedConvolution:
    """Convolution of a neck or head: with a bias of its own, or with a norm."""
    if norm != "none":
        return NormedConvolution(inputs, outputs, kernel=kernel, norm=norm, stride=stride)
    plain = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    nn.init.kaiming_normal_(plain.weight, mode="fan_out", nonlinearity="relu")
    if plain.bias is not None:
        nn.init.zeros_(plain.bias)
    return plain


def make_norm(channels: int, norm: Norm, epsilon: float) -> nn.Module:
    """A norm that changes nothing yet but, if it measures, mean and variance.

    Raises:
        SettingError: The channels cannot be split into the groups of a group norm.
    """
    if norm == "group":
        if channels % GROUPS:
            raise SettingError(
                f"norm=group: splits the channels into {GROUPS} groups, but a convolution has {channels} channels. "
                f"Make it a multiple of {GROUPS}, or choose another norm."
            )
        return GroupNorm(GROUPS, channels, eps=epsilon)
    if norm == "batch":
        return nn.BatchNorm2d(channels, eps=epsilon)
    if norm == "sync_batch":
        return nn.SyncBatchNorm(channels, eps=epsilon)
    return FrozenBatchNorm(channels, epsilon)


def takes_statistics(module: nn.Module) -> bool:
    """Whether a batch norm in it measures what passes, so that nothing may be added to a batch."""
    measuring = (nn.BatchNorm2d, nn.SyncBatchNorm)
    return any(isinstance(one, measuring) and one.training for one in module.modules())


def affine_map(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Scale [C] and shift [C] by which a batch norm maps features once its statistics are fixed."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError(f"{norm} stores no mean and variance")
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return scale, torch.addcmul(norm.bias, mean, scale, value=-1)


def fold_norm(kernel: Tensor, norm: BatchNorm, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does the same as one with `kernel` and then `norm`.

    Args:
        kernel: [C, D / groups, h, w].
        norm: Any batch norm; its stored statistics count.
        bias: [C] of the convolution, if it has one.
    """
    scale, shift = affine_map(norm)
    return kernel * scale[:, None, None, None], shift if bias is None else shift + bias * scale
