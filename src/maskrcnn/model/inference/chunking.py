"""Few different numbers of boxes for the layers of the heads.

The number of boxes differs from image to image, and the CPU's and the GPU's convolutions prepare, and keep, a
kernel for every number they meet: without this, memory grows by gigabytes in a long run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

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
