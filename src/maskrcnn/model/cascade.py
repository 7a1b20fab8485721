"""Box heads in a row, each on the boxes the one before has refined (Cai and Vasconcelos 2018, Cascade R-CNN).

One head is a cascade of one stage. Shapes: N boxes of all pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import BoxHeadSettings, ModelSettings
from ..ops.boxes import clip_boxes
from ..ops.deltas import decode_boxes
from ..structures.instances import Instances
from .box_head import (
    BoxTargets,
    box_loss,
    box_losses,
    box_predictions,
    box_targets,
    match_all,
    select_targets,
)

Pool = Callable[[list[Tensor]], Tensor]
Size = tuple[int, int]


@dataclass
class StageOutput:
    """What one stage saw in training: its pooled features [N, S, S, C] and what they stand for."""

    pooled: Tensor
    targets: BoxTargets


def stage_settings(settings: ModelSettings) -> list[tuple[BoxHeadSettings, float]]:
    """Settings and loss weight of each box head."""
    if settings.cascade is None:
        return [(settings.box_head, 1.0)]
    return [
        (
            settings.box_head.changed({"positive_iou": stage.positive_iou, "delta_weights": stage.delta_weights}),
            stage.loss_weight,
        )
        for stage in settings.cascade.stages
    ]


def cascade_loss(
    heads: Sequence[nn.Module],
    pool: Pool,
    proposals: list[Tensor],
    targets: list[Instances],
    sizes: list[Size],
    *,
    classes: int,
    settings: ModelSettings,
) -> tuple[dict[str, Tensor], list[StageOutput]]:
    """Losses `classes` and `boxes`, summed over the stages, and what each stage was trained on.

    The first stage is trained on a choice of the proposals and the annotated boxes, each later one on the same boxes
    after refinement, or, if the settings say so, again on a choice of them and the annotated boxes.

    Args:
        heads: Box heads.
        pool: Features [N, S, S, C] of boxes given per picture.
        proposals: Per picture [N_i, 4].
        targets: Annotated objects per picture.
        sizes: (height, width) of the pictures inside the padding.
    """
    losses: dict[str, Tensor] = {}
    outputs = []
    boxes = proposals
    resample = settings.cascade is not None and settings.cascade.resample
    for number, (head, (stage, weight)) in enumerate(zip(heads, stage_settings(settings), strict=True)):
        if number > 0 and not resample:
            chosen = match_all(boxes, targets, annotated=False, classes=classes, settings=stage)
        elif number == 0 and stage.hard_examples:
            chosen = _hardest(head, pool, boxes, targets, classes, stage)
        else:
            chosen = box_targets(boxes, targets, classes=classes, settings=stage)
        boxes = list(chosen.proposals.split(chosen.counts))
        pooled = pool(boxes)
        logits, deltas = head(pooled)
        for name, loss in box_loss(logits, deltas, chosen, stage, epsilon=settings.loss_epsilon).items():
            losses[name] = losses.get(name, 0) + weight * loss
        outputs.append(StageOutput(pooled, chosen))
        if number + 1 < len(heads):
            refined = refine(boxes, logits.detach(), deltas.detach(), sizes, stage, settings)
            boxes = [
                found[(found[:, 2:] > found[:, :2]).all(dim=1) & ~(annotated & resample)]
                for found, annotated in zip(refined, chosen.annotated.split(chosen.counts), strict=True)
            ]
    return losses, outputs


def cascade_predictions(
    heads: Sequence[nn.Module], pool: Pool, proposals: list[Tensor], sizes: list[Size], *, settings: ModelSettings
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Per picture boxes [D, 4] in network coordinates, scores [D] and labels [D], best first.

    The classes are averaged over the stages, the boxes are those of the last.
    """
    stages = stage_settings(settings)
    boxes, votes = proposals, []
    for number, (head, (stage, _)) in enumerate(zip(heads, stages, strict=True)):
        logits, deltas = head(pool(boxes))
        votes.append(logits)
        if number + 1 < len(heads):
            boxes = refine(boxes, logits, deltas, sizes, stage, settings)
    counts = [len(found) for found in boxes]
    scores = _average(votes, settings)
    return [
        box_predictions(*parts, stages[-1][0], clamp_both_sides=settings.clamp_both_sides)
        for parts in zip(scores.split(counts), deltas.split(counts), boxes, sizes, strict=True)
    ]


def _average(votes: list[Tensor], settings: ModelSettings) -> Tensor:
    """[N, K + 1] scores from the logits of each stage."""
    stacked = torch.stack(votes)
    if settings.cascade is not None and settings.cascade.average == "logits":
        return stacked.mean(dim=0).softmax(dim=1)
    return stacked.softmax(dim=2).mean(dim=0)


def refine(
    boxes: list[Tensor],
    logits: Tensor,
    deltas: Tensor,
    sizes: list[Size],
    stage: BoxHeadSettings,
    settings: ModelSettings,
) -> list[Tensor]:
    """The boxes [N_i, 4] of each picture moved by the deltas of their best class, and kept inside the picture.

    Args:
        boxes: What the stage saw.
        logits, deltas: [N, K + 1] and [N, K', 4] that its head gave.
        sizes: (height, width) of the pictures inside the padding.
        stage: Settings of the stage.
        settings: Of the model.
    """
    best = logits[:, :-1].argmax(dim=1) if deltas.shape[1] > 1 else torch.zeros_like(logits[:, 0], dtype=torch.int64)
    moved = decode_boxes(
        deltas[torch.arange(len(deltas), device=deltas.device), best],
        torch.cat(boxes),
        stage.delta_weights,
        clamp_both_sides=settings.clamp_both_sides,
    )
    groups = moved.split([len(found) for found in boxes])
    return [clip_boxes(found, size) for found, size in zip(groups, sizes, strict=True)]


@torch.no_grad()
def _hardest(
    head: nn.Module,
    pool: Pool,
    boxes: list[Tensor],
    targets: list[Instances],
    classes: int,
    stage: BoxHeadSettings,
) -> BoxTargets:
    """The proposals of each picture with the largest losses (Shrivastava et al. 2016, OHEM).

    Annotated boxes are proposals too. All are passed through the head once, without gradients, to find them.
    """
    everything = match_all(boxes, targets, annotated=True, classes=classes, settings=stage)
    logits, deltas = head(pool(list(everything.proposals.split(everything.counts))))
    losses, distances = box_losses(logits, deltas, everything, stage)
    losses[everything.positives] += distances
    hardest = [own.topk(min(stage.samples, len(own))).indices for own in losses.split(everything.counts)]
    return select_targets(everything, hardest, classes=classes)
