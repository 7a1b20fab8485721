"""Class and box of every proposal (Girshick 2015, Fast R-CNN).

Shapes: N proposals of all pictures, S bins per side, C channels, K classes, K' = 1 for class-agnostic boxes, else K.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, nms

from ..config import BoxHeadSettings
from ..ops.boxes import clip_boxes, sides_above
from ..ops.deltas import decode_boxes, encode_boxes
from ..ops.matching import match_boxes, sample_matches
from ..ops.precision import at_least_float32
from .blocks import compute_in_blocks
from .fusion import connect, convolve
from .norms import make_convolution, takes_statistics


class BoxHead(nn.Module):
    """Convolutions and linear layers over the pooled features, then K + 1 classes (background last) and K' boxes.

    Without linear layers the classes are read from the mean over the grid, as in ResNet itself.
    """

    def __init__(self, inputs: int, classes: int, settings: BoxHeadSettings, *, pooled: int) -> None:
        super().__init__()
        widths = [inputs] + [settings.convolution_channels] * settings.convolutions
        self.convolutions = nn.ModuleList(
            make_convolution(a, b, kernel=3, norm=settings.norm) for a, b in pairwise(widths)
        )
        sizes = [pooled**2 * widths[-1] if settings.linear_layers else widths[-1]]
        sizes += [settings.channels] * settings.linear_layers
        hidden = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.hidden = nn.ModuleList(hidden)
        self.logits = nn.Linear(sizes[-1], classes + 1)
        self.deltas = nn.Linear(sizes[-1], 4 * (1 if settings.class_agnostic else classes))
        for layer in hidden:
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
        for layer, deviation in ((self.logits, 0.01), (self.deltas, 0.001)):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[N, S, S, C] pooled features to [N, K + 1] logits and [N, K', 4] deltas."""
        if self.convolutions:
            pooled = self._convolve(pooled) if takes_statistics(self) else compute_in_blocks(self._convolve, pooled)
        hidden = pooled.flatten(1) if self.hidden else pooled.mean(dim=(1, 2))
        for layer in self.hidden:
            hidden = connect(hidden, layer.get_parameter("weight"), layer.get_parameter("bias"), rectify=True)
        hidden = hidden.to(self.logits.weight.dtype)
        logits, deltas = at_least_float32(self.logits(hidden)), at_least_float32(self.deltas(hidden))
        return logits, deltas.unflatten(1, (-1, 4))

    def _convolve(self, pooled: Tensor) -> Tensor:
        features = pooled.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = convolve(convolution, features, rectify=True)
        return features.permute(0, 2, 3, 1)


@dataclass
class BoxTargets:
    """What the proposals that count in the losses of one picture stand for.

    Args:
        proposals: [S, 4], the annotated boxes among them.
        labels: [S] int64, K for background.
        matches: [P] annotated object of each of the P proposals that are not background.
        deltas: [P, 4] wanted deltas of those.
        annotated: [S] bool, the annotated boxes that were added.
    """

    proposals: Tensor
    labels: Tensor
    matches: Tensor
    deltas: Tensor
    annotated: Tensor


def box_targets(
    proposals: Tensor, boxes: Tensor, labels: Tensor, *, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Choose the proposals of one picture that count in the losses; annotated boxes are proposals too.

    Args:
        proposals: [N, 4].
        boxes, labels: [M, 4] and [M] of the annotated objects.
        classes: K.
    """
    count = len(proposals)
    proposals = torch.cat([proposals, boxes.to(proposals)])
    matches = _match(proposals, boxes, settings)
    chosen = sample_matches(matches, samples=settings.samples, positive_fraction=settings.positive_fraction)
    targets = _make_targets(proposals[chosen], matches[chosen], boxes, labels, classes, settings)
    targets.annotated = chosen >= count
    return targets


def match_all(
    proposals: Tensor, boxes: Tensor, labels: Tensor, *, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Like `box_targets`, but all proposals count and no others: later stages of a cascade, choice by loss."""
    return _make_targets(proposals, _match(proposals, boxes, settings), boxes, labels, classes, settings)


def select_targets(targets: BoxTargets, chosen: Tensor, *, classes: int) -> BoxTargets:
    """Those proposals of `targets` alone whose positions [C] are in `chosen`."""
    row = torch.cumsum(targets.labels < classes, dim=0) - 1
    positives = row[chosen[targets.labels[chosen] < classes]]
    return BoxTargets(
        targets.proposals[chosen],
        targets.labels[chosen],
        targets.matches[positives],
        targets.deltas[positives],
        targets.annotated[chosen],
    )


def _match(proposals: Tensor, boxes: Tensor, settings: BoxHeadSettings) -> Tensor:
    return match_boxes(
        proposals, boxes.to(proposals), positive_iou=settings.positive_iou, negative_iou=settings.positive_iou
    )


def _make_targets(
    proposals: Tensor, matches: Tensor, boxes: Tensor, labels: Tensor, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    positive = matches >= 0
    all_labels = torch.full_like(matches, classes)
    all_labels[positive] = labels[matches[positive]]
    wanted = encode_boxes(boxes[matches[positive]].to(proposals), proposals[positive], settings.delta_weights)
    return BoxTargets(proposals, all_labels, matches[positive], wanted, torch.zeros_like(positive))


def box_loss(
    logits: Tensor, deltas: Tensor, targets: list[BoxTargets], settings: BoxHeadSettings, *, epsilon: float = 0.0
) -> dict[str, Tensor]:
    """Cross-entropy over the classes, and smooth L1 of the true class's deltas, both over the number of proposals.

    Args:
        logits, deltas: [N, K + 1] and [N, K', 4].
        targets: Per picture.
        epsilon: Added to the number of proposals.
    """
    classes, distances = box_losses(logits, deltas, targets, settings)
    count = max(1, len(logits)) + epsilon
    return {"classes": classes.sum() / count, "boxes": distances.sum() / count}


def box_losses(
    logits: Tensor, deltas: Tensor, targets: list[BoxTargets], settings: BoxHeadSettings
) -> tuple[Tensor, Tensor]:
    """[N] cross-entropy of each proposal, and [P] smooth L1, summed over dx, dy, dw, dh, of each positive one."""
    labels = torch.cat([target.labels for target in targets])
    wanted = torch.cat([target.deltas for target in targets])
    positive = torch.nonzero(labels < logits.shape[1] - 1).flatten()
    column = labels[positive] if deltas.shape[1] > 1 else torch.zeros_like(positive)
    distances = F.smooth_l1_loss(deltas[positive, column], wanted, beta=settings.smooth_l1_beta, reduction="none")
    return F.cross_entropy(logits, labels, reduction="none"), distances.sum(dim=1)


def box_predictions(
    scores: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    size: tuple[int, int],
    settings: BoxHeadSettings,
    *,
    clamp_both_sides: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of one picture: every class of a proposal that scores is a candidate, repetitions are suppressed.

    Args:
        scores, deltas: [N, K + 1] and [N, K', 4].
        proposals: [N, 4].
        size: (height, width) of the picture inside the padding.
        clamp_both_sides: As in `decode_boxes`.

    Returns:
        [D, 4] boxes, [D] scores, [D] labels, best first.
    """
    rows, labels = torch.nonzero(scores[:, :-1] > settings.score_threshold, as_tuple=True)
    scores = scores[rows, labels]
    column = labels if deltas.shape[1] > 1 else torch.zeros_like(labels)
    boxes = decode_boxes(
        deltas[rows, column], proposals[rows], settings.delta_weights, clamp_both_sides=clamp_both_sides
    )
    boxes = clip_boxes(boxes, size)
    if settings.smallest_side is not None:
        valid = sides_above(boxes, settings.smallest_side)
        boxes, scores, labels = boxes[valid], scores[valid], labels[valid]
    return suppress_repetitions(boxes, scores, labels, settings)


def suppress_repetitions(
    boxes: Tensor, scores: Tensor, labels: Tensor, settings: BoxHeadSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """The best of the detections that overlap, best first.

    Args:
        boxes, scores, labels: [D, 4], [D] and [D].
        settings: nms_threshold, nms_across_classes, detections.
    """
    if settings.nms_across_classes:
        kept = nms(boxes, scores, settings.nms_threshold)
    else:
        kept = batched_nms(boxes, scores, labels, settings.nms_threshold)
    kept = kept[: settings.detections]
    return boxes[kept], scores[kept], labels[kept]
