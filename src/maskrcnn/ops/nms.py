"""Non-maximum suppression of several groups of boxes at once, without steps that a GPU has to wait between."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import box_overlaps

ROUNDS = 8
"""Rounds between two looks at whether anything still changes, since a look waits for the device."""


def suppress_groups(boxes: list[Tensor], valid: list[Tensor], threshold: float) -> list[Tensor]:
    """Which boxes greedy non-maximum suppression keeps, as `torchvision.ops.nms` does for one group.

    A box stays if no better one that stays overlaps it above the threshold. Starting with all boxes and applying this
    rule to all of them at once settles the best box in the first round, those it decides over in the second, and so
    on; when a round changes nothing, the greedy answer is reached.

    Args:
        boxes: Each [G, N_i, 4] x1, y1, x2, y2; every group has its best box first.
        valid: Each [G, N_i], boxes that are there at all.
        threshold: Intersection over union above which the lesser box goes.

    Returns:
        Each [G, N_i] bool.
    """
    # A product of matrices counts, for every box, the better ones that stay and overlap it: half precision is enough.
    dtype = torch.float16 if boxes[0].is_cuda else torch.float32
    longest = max(there.shape[1] for there in valid)
    suppresses = torch.cat(
        [
            _padded((box_overlaps(group, group) > threshold).triu_(diagonal=1).to(dtype), longest, sides=2)
            for group in boxes
        ]
    )
    present = torch.cat([_padded(there, longest, sides=1) for there in valid])
    kept = present
    with torch.autocast(present.device.type, enabled=False):  # it would convert the matrices in every round
        while True:
            before = kept
            for _ in range(ROUNDS):
                kept = present & (torch.bmm(kept[:, None].to(dtype), suppresses)[:, 0] == 0)
            if torch.equal(before, kept):
                break
    parts = kept.split([len(there) for there in valid])
    return [part[:, : there.shape[1]] for part, there in zip(parts, valid, strict=True)]


def _padded(values: Tensor, length: int, *, sides: int) -> Tensor:
    """The last dimensions, one or two, filled up to a length with 0."""
    return F.pad(values, (0, length - values.shape[-1]) * sides)
