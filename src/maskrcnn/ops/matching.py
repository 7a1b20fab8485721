"""Annotated boxes found for anchors or proposals, and the random choice of those that count in a loss."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

NEGATIVE = -1
IGNORED = -2


def match_boxes(
    boxes: Tensor, targets: Tensor, *, positive_iou: float, negative_iou: float, rescue_iou: float | None = None
) -> Tensor:
    """Find the target box each box stands for.

    Args:
        boxes: [N, 4] anchors or proposals.
        targets: [M, 4] annotated boxes.
        positive_iou: From this overlap on a box stands for its best target.
        negative_iou: Below this overlap it is background; in between it is ignored.
        rescue_iou: Boxes that overlap a target as much as no other box does, and at least so much, stand for their own
            best target, so that no target stays without (Ren et al. 2015, section 3.1.2). A target that no box touches
            rescues none; in torchvision it rescues every box that touches nothing. None: no box is rescued.

    Returns:
        [N] int64 number of the target, `NEGATIVE` or `IGNORED`.
    """
    if len(targets) == 0:
        return boxes.new_full((len(boxes),), NEGATIVE, dtype=torch.int64)
    overlaps = box_iou(targets, boxes)
    best, nearest = overlaps.max(dim=0)
    matches = torch.where(best >= positive_iou, nearest, IGNORED).masked_fill(best < negative_iou, NEGATIVE)
    if rescue_iou is not None and len(boxes):
        best_of_target = overlaps.max(dim=1, keepdim=True).values
        rescues = (best_of_target > 0) & (best_of_target >= rescue_iou)
        matches = torch.where(((overlaps == best_of_target) & rescues).any(dim=0), nearest, matches)
    return matches


def sample_matches(matches: Tensor, *, samples: int, positive_fraction: float) -> Tensor:
    """Choose at random which boxes count in the loss, positives first, up to their fraction.

    Args:
        matches: [N] result of `match_boxes`.
        samples: Most boxes to choose.
        positive_fraction: Largest share of positives; negatives fill the rest.

    Returns:
        [S] int64 positions in `matches`, ascending, S <= samples.
    """
    positives = torch.nonzero(matches >= 0).flatten()
    negatives = torch.nonzero(matches == NEGATIVE).flatten()
    positives = _choose(positives, int(samples * positive_fraction))
    negatives = _choose(negatives, samples - len(positives))
    return torch.cat([positives, negatives]).sort().values


def _choose(positions: Tensor, most: int) -> Tensor:
    return positions[torch.randperm(len(positions), device=positions.device)[:most]]
