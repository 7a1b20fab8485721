"""Annotated boxes found for anchors or proposals, and the random choice of those that count in a loss.

All images of a batch at once, so that a GPU neither starts kernels nor waits for each of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .boxes import box_overlaps, pad_boxes

NEGATIVE = -1
IGNORED = -2
LARGEST_MATRIX = 2**24
"""Most overlaps of boxes and targets that are held at once, unless one image has more."""


def match_boxes(
    boxes: Tensor,
    targets: Sequence[Tensor],
    *,
    positive_iou: float,
    negative_iou: float,
    rescue_iou: float | None = None,
) -> Tensor:
    """Find the target box each box stands for.

    Args:
        boxes: [N, 4] anchors of every image, or [B, N, 4] proposals of each, NaN where there is none.
        targets: B times [M_i, 4] annotated boxes.
        positive_iou: From this overlap on a box stands for its best target.
        negative_iou: Below this overlap it is background; in between it is ignored.
        rescue_iou: Boxes that overlap a target as much as no other box does, and at least so much, stand for their own
            best target, so that no target stays without (Ren et al. 2015, section 3.1.2). A target that no box touches
            rescues none; in torchvision it rescues every box that touches nothing. None: no box is rescued.

    Returns:
        [B, N] int64 number of the target in its image, `NEGATIVE` or `IGNORED`.
    """
    boxes = boxes.expand(len(targets), -1, -1)
    most = max(1, LARGEST_MATRIX // max(1, boxes.shape[1] * max(map(len, targets))))
    return torch.cat(
        [
            _match_group(
                boxes[first : first + most],
                pad_boxes(targets[first : first + most]).to(boxes),
                positive_iou,
                negative_iou,
                rescue_iou,
            )
            for first in range(0, len(targets), most)
        ]
    )


def _match_group(
    boxes: Tensor, targets: Tensor, positive_iou: float, negative_iou: float, rescue_iou: float | None
) -> Tensor:
    """[B, N] matches of boxes [B, N, 4] with targets [B, M, 4]."""
    overlaps = box_overlaps(targets, boxes).nan_to_num_(-1)
    best, nearest = overlaps.max(dim=1)
    matches = torch.where(best >= positive_iou, nearest, IGNORED).masked_fill(best < negative_iou, NEGATIVE)
    if rescue_iou is not None and boxes.shape[1]:
        highest = overlaps.amax(dim=2, keepdim=True)
        highest = highest.masked_fill((highest <= 0) | (highest < rescue_iou), torch.nan)  # equals no overlap
        matches = torch.where((overlaps == highest).any(dim=1), nearest, matches)
    return matches.masked_fill(boxes[..., 0].isnan(), IGNORED)


def sample_matches(matches: Tensor, *, samples: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Choose at random which boxes count in the loss, positives first, up to their fraction.

    Args:
        matches: [B, N] result of `match_boxes`.
        samples: Most boxes to choose of each image.
        positive_fraction: Largest share of positives; negatives fill the rest.

    Returns:
        [P] and [Q] int64 positions of positives and of negatives in the flattened matches, ascending.
    """
    keys = torch.rand(matches.shape, device=matches.device)
    positives, are_positive = _draw(keys, matches >= 0, int(samples * positive_fraction))
    negatives, are_negative = _draw(keys, matches == NEGATIVE, samples)
    rest = samples - are_positive.sum(dim=1, keepdim=True)
    are_negative &= torch.arange(negatives.shape[1], device=matches.device) < rest
    return positives[are_positive].sort().values, negatives[are_negative].sort().values


def _draw(keys: Tensor, candidates: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Flat positions [B, S] of the `most` candidates of each row with the largest keys, and whether they are some."""
    best, columns = keys.masked_fill(~candidates, -1).topk(min(most, keys.shape[1]), dim=1)
    rows = torch.arange(len(keys), device=keys.device)[:, None]
    return rows * keys.shape[1] + columns, best >= 0
