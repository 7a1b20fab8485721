"""Class and box of every proposal (Girshick 2015, Fast R-CNN).

Shapes: N proposals of all pictures, S bins per side, C channels, K classes, K' = 1 for class-agnostic boxes, else K.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import batched_nms, nms

from ..config import BoxHeadSettings
from ..ops.boxes import clip_boxes, pad_boxes, sides_above
from ..ops.deltas import decode_boxes, encode_boxes
from ..ops.matching import IGNORED, match_boxes, sample_matches
from ..ops.precision import at_least_float32
from ..structures.instances import Instances
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
    """What the proposals that count in the losses of a batch stand for; all tensors join the pictures.

    Args:
        proposals: [S, 4], the annotated boxes among them.
        counts: Proposals of each picture.
        labels: [S] int64, K for background.
        positives: [P] positions, among the S, of those that are not background, ascending.
        positive_counts: Positives of each picture.
        matches: [P] annotated object, of its picture, of each positive.
        deltas: [P, 4] wanted deltas of the positives.
        annotated: [S] bool, the annotated boxes that were added.
    """

    proposals: Tensor
    counts: list[int]
    labels: Tensor
    positives: Tensor
    positive_counts: list[int]
    matches: Tensor
    deltas: Tensor
    annotated: Tensor

    def matches_of_pictures(self) -> list[Tensor]:
        """[P_i] of each picture."""
        return list(self.matches.split(self.positive_counts))


def box_targets(
    proposals: list[Tensor], objects: list[Instances], *, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Choose the proposals that count in the losses; annotated boxes are proposals too.

    Args:
        proposals: Per picture [N, 4].
        objects: Per picture, annotated.
        classes: K.
        settings: Of the head.
    """
    padded, own = _pad_proposals(proposals, objects, annotated=True)
    matches = _match(padded, objects, settings)
    positives, negatives = sample_matches(
        matches, samples=settings.samples, positive_fraction=settings.positive_fraction
    )
    chosen = torch.cat([positives, negatives]).sort().values
    return _make_targets(padded, matches, chosen, positives, objects, own=own, classes=classes, settings=settings)


def match_all(
    proposals: list[Tensor], objects: list[Instances], *, annotated: bool, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Like `box_targets`, but all proposals count: later stages of a cascade, choice by loss.

    Args:
        proposals, objects, classes, settings: As there.
        annotated: Whether the annotated boxes are added.
    """
    padded, own = _pad_proposals(proposals, objects, annotated=annotated)
    matches = _match(padded, objects, settings)
    chosen, positives = (torch.nonzero(those.flatten()).flatten() for those in (matches != IGNORED, matches >= 0))
    return _make_targets(padded, matches, chosen, positives, objects, own=own, classes=classes, settings=settings)


def select_targets(targets: BoxTargets, chosen: list[Tensor], *, classes: int) -> BoxTargets:
    """Those proposals of `targets` alone whose positions, among those of each picture [C_i], are in `chosen`."""
    counts, starts = [len(own) for own in chosen], accumulate(targets.counts, initial=0)
    places = torch.cat([own + start for own, start in zip(chosen, starts, strict=False)])
    labels = targets.labels[places]
    positives = torch.nonzero(labels < classes).flatten()
    rows = torch.searchsorted(targets.positives, places[positives])
    return BoxTargets(
        proposals=targets.proposals[places],
        counts=counts,
        labels=labels,
        positives=positives,
        positive_counts=[int((own < classes).sum()) for own in labels.split(counts)],
        matches=targets.matches[rows],
        deltas=targets.deltas[rows],
        annotated=targets.annotated[places],
    )


def _pad_proposals(proposals: list[Tensor], objects: list[Instances], *, annotated: bool) -> tuple[Tensor, int]:
    """[B, N, 4] proposals, NaN where a picture has fewer, then the annotated boxes if wanted, and where these begin."""
    padded = pad_boxes(proposals)
    if not annotated:
        return padded, padded.shape[1]
    return torch.cat([padded, pad_boxes([one.boxes for one in objects]).to(padded)], dim=1), padded.shape[1]


def _match(padded: Tensor, objects: list[Instances], settings: BoxHeadSettings) -> Tensor:
    boxes = [one.boxes for one in objects]
    return match_boxes(padded, boxes, positive_iou=settings.positive_iou, negative_iou=settings.positive_iou)


def _make_targets(
    padded: Tensor,
    matches: Tensor,
    chosen: Tensor,
    positives: Tensor,
    objects: list[Instances],
    *,
    own: int,
    classes: int,
    settings: BoxHeadSettings,
) -> BoxTargets:
    """What those proposals stand for that are at ascending positions, of all and of the positive ones, in `matches`."""
    width, places = padded.shape[1], torch.searchsorted(chosen, positives)
    pictures, matched = positives // width, matches.flatten()[positives]
    labels = torch.full_like(chosen, classes)
    labels[places] = pad_sequence([one.labels for one in objects], batch_first=True)[pictures, matched]
    proposals = padded.flatten(0, 1)[chosen]
    boxes = pad_boxes([one.boxes for one in objects]).to(padded)[pictures, matched]
    starts = torch.arange(len(objects) + 1, device=chosen.device) * width
    counts, positive_counts = (
        torch.stack([torch.searchsorted(those, starts) for those in (chosen, positives)]).diff().tolist()
    )
    return BoxTargets(
        proposals=proposals,
        counts=counts,
        labels=labels,
        positives=places,
        positive_counts=positive_counts,
        matches=matched,
        deltas=encode_boxes(boxes, proposals[places], settings.delta_weights),
        annotated=chosen % width >= own,
    )


def box_loss(
    logits: Tensor, deltas: Tensor, targets: BoxTargets, settings: BoxHeadSettings, *, epsilon: float = 0.0
) -> dict[str, Tensor]:
    """Cross-entropy over the classes, and smooth L1 of the true class's deltas, both over the number of proposals.

    Args:
        logits, deltas: [N, K + 1] and [N, K', 4].
        targets: Of the N proposals.
        settings: Of the head.
        epsilon: Added to the number of proposals.
    """
    classes, distances = box_losses(logits, deltas, targets, settings)
    count = max(1, len(logits)) + epsilon
    return {"classes": classes.sum() / count, "boxes": distances.sum() / count}


def box_losses(logits: Tensor, deltas: Tensor, targets: BoxTargets, settings: BoxHeadSettings) -> tuple[Tensor, Tensor]:
    """[N] cross-entropy of each proposal, and [P] smooth L1, summed over dx, dy, dw, dh, of each positive one."""
    positives = targets.positives
    column = targets.labels[positives] if deltas.shape[1] > 1 else torch.zeros_like(positives)
    distances = F.smooth_l1_loss(
        deltas[positives, column], targets.deltas, beta=settings.smooth_l1_beta, reduction="none"
    )
    return F.cross_entropy(logits, targets.labels, reduction="none"), distances.sum(dim=1)


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
