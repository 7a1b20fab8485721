"""A convolution together with the addition and the rectifier that follow it: one pass over memory instead of three."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .norms import NormedConvolution

FUSED_TYPES = (torch.float32, torch.bfloat16)


def convolve(layer: nn.Module, features: Tensor, *, rectify: bool = False, onto: Tensor | None = None) -> Tensor:
    """`layer(features)`, added to `onto`, rectified.

    Prediction on a CPU hands all of it to oneDNN at once. That is also the way past MKL, which torch otherwise takes
    for 1x1 convolutions in float32, and which runs at less than half of the speed on processors that are not Intel's.

    Args:
        layer: A convolution, or one with a norm.
        features: [N, C, H, W], channels_last.
        rectify: Negative outputs become 0.
        onto: [N, D, h, w] of the caller's own, which may be overwritten.
    """
    own = layer.convolution if isinstance(layer, NormedConvolution) and isinstance(layer.norm, nn.Identity) else layer
    if isinstance(own, nn.Conv2d) and _can_fuse(own, features):
        return _convolve_at_once(own, features, rectify, onto)
    outputs = layer(features)
    if onto is not None:
        outputs = outputs + onto
    return F.relu(outputs, inplace=True) if rectify else outputs


def _can_fuse(layer: nn.Conv2d, features: Tensor) -> bool:
    """Whether oneDNN can do it all: its operator has no gradient, is not for autocast or tracing, and takes zeros around the map only."""
    return (
        features.device.type == "cpu"
        and features.dtype in FUSED_TYPES
        and layer.weight.dtype == features.dtype
        and layer.padding_mode == "zeros"
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and features.numel() > 0
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def _convolve_at_once(layer: nn.Conv2d, features: Tensor, rectify: bool, onto: Tensor | None) -> Tensor:
    arguments = (layer.weight, layer.bias, layer.padding, layer.stride, layer.dilation, layer.groups)
    if onto is None:
        after = "relu" if rectify else "none"
        return torch.ops.mkldnn._convolution_pointwise(features, *arguments, after, [], "")
    operator = torch.ops.mkldnn._convolution_pointwise_.binary
    return operator(onto, features, *arguments, "add", 1.0, "relu" if rectify else None, [], "")
