"""Class and box of every proposal (Girshick 2015, Fast R-CNN).

Shapes: N proposals of all pictures, S bins per side, C channels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from ..config import BoxHeadSettings
from ..ops.boxes import clip_boxes, sides_above
from ..ops.deltas import decode_boxes, encode_boxes
from ..ops.matching import match_boxes, sample_matches
from ..ops.precision import at_least_float32

DELTA_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SMOOTH_L1_BETA = 1 / 9
SMALLEST_SIDE = 1e-2


class BoxHead(nn.Module):
    """Two fully connected layers over the pooled features, then K + 1 classes (background last) and K boxes."""

    def __init__(self, channels: int, classes: int, settings: BoxHeadSettings) -> None:
        super().__init__()
        self.pool_size = settings.pool_size
        self.hidden1 = nn.Linear(settings.pool_size**2 * channels, settings.channels)
        self.hidden2 = nn.Linear(settings.channels, settings.channels)
        self.logits = nn.Linear(settings.channels, classes + 1)
        self.deltas = nn.Linear(settings.channels, classes * 4)
        for layer in (self.hidden1, self.hidden2):
            nn.init.kaiming_uniform_(layer.weight, a=1)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.normal_(self.deltas.weight, std=0.001)
        for layer in (self.hidden1, self.hidden2, self.logits, self.deltas):
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[N, S, S, C] pooled features to [N, K + 1] logits and [N, K, 4] deltas."""
        hidden = F.relu(self.hidden2(F.relu(self.hidden1(pooled.flatten(1)))))
        hidden = hidden.to(self.logits.weight.dtype)
        logits, deltas = at_least_float32(self.logits(hidden)), at_least_float32(self.deltas(hidden))
        return logits, deltas.unflatten(1, (-1, 4))


@dataclass
class BoxTargets:
    """What the proposals that count in the losses of one picture stand for.

    Args:
        proposals: [S, 4], the annotated boxes among them.
        labels: [S] int64, K for background.
        matches: [P] annotated object of each of the P proposals that are not background.
        deltas: [P, 4] wanted deltas of those.
    """

    proposals: Tensor
    labels: Tensor
    matches: Tensor
    deltas: Tensor


def box_targets(
    proposals: Tensor, boxes: Tensor, labels: Tensor, *, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Choose the proposals of one picture that count in the losses; annotated boxes are proposals too.

    Args:
        proposals: [N, 4].
        boxes, labels: [M, 4] and [M] of the annotated objects.
        classes: K.
    """
    proposals = torch.cat([proposals, boxes.to(proposals)])
    matches = match_boxes(
        proposals, boxes.to(proposals), positive_iou=settings.positive_iou, negative_iou=settings.positive_iou
    )
    chosen = sample_matches(matches, samples=settings.samples, positive_fraction=settings.positive_fraction)
    proposals, matches = proposals[chosen], matches[chosen]
    positive = matches >= 0
    chosen_labels = torch.full_like(matches, classes)
    chosen_labels[positive] = labels[matches[positive]]
    wanted = encode_boxes(boxes[matches[positive]].to(proposals), proposals[positive], DELTA_WEIGHTS)
    return BoxTargets(proposals, chosen_labels, matches[positive], wanted)


def box_loss(logits: Tensor, deltas: Tensor, targets: list[BoxTargets]) -> dict[str, Tensor]:
    """Cross-entropy over the classes, and smooth L1 (beta 1/9) of the true class's deltas over all proposals."""
    labels = torch.cat([target.labels for target in targets])
    wanted = torch.cat([target.deltas for target in targets])
    positive = torch.nonzero(labels < deltas.shape[1]).flatten()
    regression = F.smooth_l1_loss(deltas[positive, labels[positive]], wanted, beta=SMOOTH_L1_BETA, reduction="sum")
    return {
        "classes": F.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels)),
        "boxes": regression / max(1, len(labels)),
    }


def box_predictions(
    logits: Tensor, deltas: Tensor, proposals: Tensor, size: tuple[int, int], settings: BoxHeadSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of one picture: every class of a proposal that scores is a candidate, repetitions are suppressed per class.

    Args:
        logits, deltas: [N, K + 1] and [N, K, 4].
        proposals: [N, 4].
        size: (height, width) of the picture inside the padding.

    Returns:
        [D, 4] boxes, [D] scores, [D] labels, best first.
    """
    scores = logits.softmax(dim=1)[:, :-1]
    rows, labels = torch.nonzero(scores > settings.score_threshold, as_tuple=True)
    scores = scores[rows, labels]
    boxes = clip_boxes(decode_boxes(deltas[rows, labels], proposals[rows], DELTA_WEIGHTS), size)
    valid = sides_above(boxes, SMALLEST_SIDE)
    boxes, scores, labels = boxes[valid], scores[valid], labels[valid]
    kept = batched_nms(boxes, scores, labels, settings.nms_threshold)[: settings.detections]
    return boxes[kept], scores[kept], labels[kept]
