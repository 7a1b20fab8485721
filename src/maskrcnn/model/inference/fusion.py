"""A layer together with the addition and the rectifier that follow it: one pass over memory instead of three.

Prediction on a CPU hands all of it to oneDNN at once. That is also the way past MKL, which torch otherwise takes for
1x1 convolutions and linear layers in float32, and which has less than half of the speed on processors not Intel's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..norms import NormedConvolution

NAMES = {True: "relu", False: "none"}


def convolve(layer: nn.Module, features: Tensor, *, rectify: bool = False, onto: Tensor | None = None) -> Tensor:
    """`layer(features)`, added to `onto`, rectified.

    Args:
        layer: A convolution, or one with a norm.
        features: [N, C, H, W], channels_last.
        rectify: Negative outputs become 0.
        onto: [N, D, h, w], which may be overwritten.
    """
    own = layer.convolution if isinstance(layer, NormedConvolution) and isinstance(layer.norm, nn.Identity) else layer
    if type(own) is nn.Conv2d and own.padding_mode == "zeros" and _can_fuse(own.weight, features):
        arguments = (features, own.weight, own.bias, own.padding, own.stride, own.dilation, own.groups)
        if onto is None:
            return torch.ops.mkldnn._convolution_pointwise(*arguments, NAMES[rectify], [], "")
        after = "relu" if rectify else None
        return torch.ops.mkldnn._convolution_pointwise_.binary(onto, *arguments, "add", 1.0, after, [], "")
    outputs = layer(features)
    if onto is not None:
        outputs = outputs + onto
    return F.relu(outputs, inplace=True) if rectify else outputs


def connect(rows: Tensor, weight: Tensor, bias: Tensor | None, *, rectify: bool = False) -> Tensor:
    """[..., C] rows times weight [D, C], plus bias [D], rectified: [..., D]."""
    if _can_fuse(weight, rows):
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, NAMES[rectify], [], "")
    outputs = F.linear(rows, weight, bias)
    return F.relu(outputs) if rectify else outputs


def _can_fuse(weight: Tensor, inputs: Tensor) -> bool:
    """Whether oneDNN's operators can do it; they have no gradient, and are not for autocast, tracing or compiling."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype
        and inputs.numel() > 0
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and _computes(inputs.dtype)
    )


@cache
def _computes(dtype: torch.dtype) -> bool:
    """Whether oneDNN is there and has kernels for a type on this processor."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


ROUND = 32
"""Numbers of boxes in training and on a GPU are multiples of it."""
BINS, STEPS = 50 * 14**2, 10
"""Bins of the boxes that a CPU predicts together, whose maps then stay in its cache, and sizes of the rest of them."""


def compute_in_blocks(compute: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """`compute(*rows)` in numbers of rows that it is used to; what is added to them is 0, and taken away again.

    Args:
        compute: Makes [N, ...] of tensors [N, ...], each row for itself.
        rows: Pooled features [N, S, S, C], and what else there is of each box.
    """
    pooled = rows[0]
    if pooled.device.type != "cpu" or torch.is_grad_enabled():
        return compute(*(round_up_count(one, ROUND) for one in rows))[: len(pooled)]
    step = max(1, BINS // (STEPS * pooled.shape[1] * pooled.shape[2]))
    blocks = zip(*(one.split(STEPS * step) for one in rows), strict=True)
    done = [compute(*(round_up_count(one, step) for one in block))[: len(block[0])] for block in blocks]
    return done[0] if len(done) == 1 else torch.cat(done)


def round_up_count(rows: Tensor, multiple: int) -> Tensor:
    """[N, ...] with zeros added up to the next multiple."""
    return F.pad(rows, (0, 0) * (rows.ndim - 1) + (0, -len(rows) % multiple))
