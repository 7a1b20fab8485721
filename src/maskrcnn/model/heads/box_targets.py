"""What the proposals that a box head learns from stand for (Girshick 2015, Fast R-CNN, section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...config import BoxHeadSettings
from ...ops.boxes import pad_boxes
from ...ops.deltas import encode_boxes
from ...ops.matching import IGNORED, match_boxes, sample_matches
from ...structures.instances import Instances


@dataclass
class BoxTargets:
    """What the proposals that count in the losses of a batch stand for; all tensors join the images.

    Args:
        proposals: [S, 4], the annotated boxes among them.
        counts: Proposals of each image.
        labels: [S] int64, K for background.
        positives: [P] positions, among the S, of those that are not background, ascending.
        positive_counts: Positives of each image.
        matches: [P] annotated object, of its image, of each positive.
        deltas: [P, 4] target deltas of the positives.
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

    def matches_of_images(self) -> list[Tensor]:
        """[P_i] of each image."""
        return list(self.matches.split(self.positive_counts))

    def boxes_of_images(self) -> list[Tensor]:
        """[S_i, 4] proposals of each image."""
        return list(self.proposals.split(self.counts))

    def select(self, chosen: list[Tensor]) -> BoxTargets:
        """Those proposals alone whose positions, among those of each image [C_i], are in `chosen`."""
        counts, starts = [len(own) for own in chosen], accumulate(self.counts, initial=0)
        places = torch.cat([own + start for own, start in zip(chosen, starts, strict=False)])
        positive = torch.zeros_like(self.annotated).index_fill(0, self.positives, True)[places]
        positives = torch.nonzero(positive).flatten()
        rows = torch.searchsorted(self.positives, places[positives])
        return BoxTargets(
            proposals=self.proposals[places],
            counts=counts,
            labels=self.labels[places],
            positives=positives,
            positive_counts=[int(own.sum()) for own in positive.split(counts)],
            matches=self.matches[rows],
            deltas=self.deltas[rows],
            annotated=self.annotated[places],
        )


def box_targets(
    proposals: list[Tensor], objects: list[Instances], *, classes: int, settings: BoxHeadSettings
) -> BoxTargets:
    """Choose the proposals that count in the losses; annotated boxes are proposals too.

    Args:
        proposals: Per image [N, 4].
        objects: Per image, annotated.
        classes: K.
        settings: Of the head.
    """
    padded, own = _pad_proposals(proposals, objects, annotated=True)
    matches = _match(padded, objects, settings)
    positives, negatives = sample_matches(
        matches, samples=settings.batch_size_per_image, positive_fraction=settings.positive_fraction
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


def _pad_proposals(proposals: list[Tensor], objects: list[Instances], *, annotated: bool) -> tuple[Tensor, int]:
    """[B, N, 4] proposals, NaN where an image has fewer, then (if asked for) annotated boxes, and where these begin."""
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
    images, matched = positives // width, matches.flatten()[positives]
    labels = torch.full_like(chosen, classes)
    labels[places] = pad_sequence([one.labels for one in objects], batch_first=True)[images, matched]
    proposals = padded.flatten(0, 1)[chosen]
    boxes = pad_boxes([one.boxes for one in objects]).to(padded)[images, matched]
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
