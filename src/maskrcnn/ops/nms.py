"""Greedy suppression of repeated boxes for many groups at once: for GPUs, on which one box after the other is slow."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 8
"""Rounds between two looks at whether anything still changes, since a look waits for the device."""


def suppress_groups(boxes: Tensor, valid: Tensor, threshold: float) -> Tensor:
    """Which boxes greedy non-maximum suppression keeps, as `torchvision.ops.nms` does for one group.

    A box stays if no better one that stays overlaps it above the threshold. Starting with all boxes and applying this
    rule to all of them at once settles the best box in the first round, those it decides over in the second, and so
    on; when a round changes nothing, the greedy answer is reached.

    Args:
        boxes: [G, N, 4] x1, y1, x2, y2; each group with its best box first.
        valid: [G, N] boxes that are there at all.
        threshold: Intersection over union above which the lesser box goes.

    Returns:
        [G, N] bool.
    """
    if boxes.shape[1] == 0:
        return valid
    # A product of matrices counts, for every box, the better ones that stay and overlap it: half precision is enough.
    dtype = torch.float16 if boxes.is_cuda else torch.float32
    suppresses = _overlaps(boxes, threshold).triu_(diagonal=1).to(dtype)
    kept = valid
    while True:
        before = kept
        for _ in range(ROUNDS):
            kept = valid & (torch.bmm(kept[:, None].to(dtype), suppresses)[:, 0] == 0)
        if torch.equal(before, kept):
            return kept


def _overlaps(boxes: Tensor, threshold: float) -> Tensor:
    """[G, N, N] whether two boxes overlap above a threshold."""
    x1, y1, x2, y2 = boxes.unbind(dim=2)
    areas = (x2 - x1) * (y2 - y1)
    widths = (torch.minimum(x2[:, :, None], x2[:, None]) - torch.maximum(x1[:, :, None], x1[:, None])).clamp_(min=0)
    heights = (torch.minimum(y2[:, :, None], y2[:, None]) - torch.maximum(y1[:, :, None], y1[:, None])).clamp_(min=0)
    shared = widths.mul_(heights)
    return shared / (areas[:, :, None] + areas[:, None] - shared) > threshold
