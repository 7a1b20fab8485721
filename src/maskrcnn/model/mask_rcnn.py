"""Mask R-CNN with a feature pyramid: pictures to losses, or to objects."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import ModelSettings
from ..ops.boxes import scale_boxes
from ..ops.levels import assign_levels
from ..ops.roi_align import PyramidTable, make_table, roi_align
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.masks import MaskCrops
from ..structures.soft_masks import SoftMasks
from .anchors import Anchors
from .box_head import BoxHead, BoxTargets, box_loss, box_predictions, box_targets
from .mask_head import MaskHead, mask_loss, mask_predictions, mask_targets
from .rpn import RPN, rpn_loss, rpn_predictions

ROI_LEVELS = (2, 3, 4, 5)


class MaskRCNN(nn.Module):
    """Two stages: proposals from the whole picture, then class, box and mask of each of them.

    `forward` gives losses and `predict` gives objects; neither asks whether the module is in training mode.
    """

    def __init__(
        self,
        *,
        body: nn.Module,
        fpn: nn.Module,
        anchors: Anchors,
        rpn: RPN,
        box_head: BoxHead,
        mask_head: MaskHead | None,
        classes: int,
        settings: ModelSettings,
    ) -> None:
        super().__init__()
        self.body = body
        self.fpn = fpn
        self.anchors = anchors
        self.rpn = rpn
        self.box_head = box_head
        self.mask_head = mask_head
        self.classes = classes
        self.settings = settings

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch with targets, one scalar each: rpn_objectness, rpn_boxes, classes, boxes, masks."""
        targets = batch.targets
        if targets is None:
            raise ValueError("a batch without targets has no loss; use predict()")
        features = self.fpn(self.body(batch.images))
        losses, proposals = self._rpn_loss(features, batch, [target.boxes for target in targets])
        chosen = [
            box_targets(boxes, target.boxes, target.labels, classes=self.classes, settings=self.settings.box_head)
            for boxes, target in zip(proposals, targets, strict=True)
        ]
        table = make_table({level: features[level] for level in ROI_LEVELS})
        pooled = pool_boxes(table, [target.proposals for target in chosen], self.box_head.pool_size)
        logits, deltas = self.box_head(pooled)
        losses |= box_loss(logits, deltas, chosen)
        if self.mask_head is not None:
            losses |= self._mask_loss(self.mask_head, table, chosen, targets)
        return losses

    def _rpn_loss(
        self, features: dict[int, Tensor], batch: Batch, boxes: list[Tensor]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses, and per picture [N, 4] proposals for the heads."""
        settings = self.settings.rpn
        logits, deltas = self.rpn(features)
        anchors = self._anchors(features, batch)
        proposals, _ = rpn_predictions(
            logits,
            deltas,
            anchors,
            batch.sizes,
            settings,
            candidates=settings.candidates_training,
            proposals=settings.proposals_training,
        )
        return rpn_loss(logits, deltas, anchors, boxes, settings), proposals

    def _mask_loss(
        self, head: MaskHead, table: PyramidTable, chosen: list[BoxTargets], targets: list[Instances]
    ) -> dict[str, Tensor]:
        objects = [target.labels < self.classes for target in chosen]
        boxes = [target.proposals[positive] for target, positive in zip(chosen, objects, strict=True)]
        labels = torch.cat([target.labels[positive] for target, positive in zip(chosen, objects, strict=True)])
        wanted = [
            mask_targets(_crops(target), picture.matches, picture_boxes, 2 * head.pool_size)
            for target, picture, picture_boxes in zip(targets, chosen, boxes, strict=True)
        ]
        return mask_loss(head(pool_boxes(table, boxes, head.pool_size)), labels, torch.cat(wanted))

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Instances]:
        """Objects of each picture in the caller's pixels, best first."""
        settings = self.settings
        features = self.fpn(self.body(batch.images))
        logits, deltas = self.rpn(features)
        proposals, _ = rpn_predictions(
            logits,
            deltas,
            self._anchors(features, batch),
            batch.sizes,
            settings.rpn,
            candidates=settings.rpn.candidates,
            proposals=settings.rpn.proposals,
        )
        table = make_table({level: features[level] for level in ROI_LEVELS})
        found = self._detect(table, proposals, batch.sizes)
        masks = self._predict_masks(table, found)
        return [
            _to_picture(*detections, soft, size, picture_size)
            for detections, soft, size, picture_size in zip(found, masks, batch.sizes, batch.picture_sizes, strict=True)
        ]

    def _anchors(self, features: dict[int, Tensor], batch: Batch) -> list[Tensor]:
        dtype = torch.float64 if batch.images.dtype == torch.float64 else torch.float32
        return self.anchors(features, tuple(batch.images.shape[-2:]), dtype)

    def _detect(
        self, table: PyramidTable, proposals: list[Tensor], sizes: list[tuple[int, int]]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per picture boxes, scores and labels in network coordinates."""
        counts = [len(boxes) for boxes in proposals]
        logits, deltas = self.box_head(pool_boxes(table, proposals, self.box_head.pool_size))
        return [
            box_predictions(*parts, self.settings.box_head)
            for parts in zip(logits.split(counts), deltas.split(counts), proposals, sizes, strict=True)
        ]

    def _predict_masks(self, table: PyramidTable, found: list[tuple[Tensor, Tensor, Tensor]]) -> list[Tensor | None]:
        """Per picture [D, m, m] probabilities, or None without a mask head."""
        if self.mask_head is None:
            return [None] * len(found)
        pooled = pool_boxes(table, [boxes for boxes, _, _ in found], self.mask_head.pool_size)
        labels = torch.cat([labels for _, _, labels in found])
        return list(mask_predictions(self.mask_head(pooled), labels).split([len(boxes) for boxes, _, _ in found]))


def pool_boxes(table: PyramidTable, boxes: list[Tensor], size: int) -> Tensor:
    """RoIAlign of each picture's boxes [N_i, 4], each from the level that suits its size: [N, size, size, C]."""
    pictures = torch.cat([torch.full((len(group),), i, device=group.device) for i, group in enumerate(boxes)])
    joined = torch.cat(boxes)
    levels = assign_levels(joined, ROI_LEVELS[0], ROI_LEVELS[-1])
    return roi_align(table, joined, pictures, levels, size=size)


def _crops(target: Instances) -> MaskCrops:
    if not isinstance(target.masks, MaskCrops):
        raise ValueError(f"targets need masks as MaskCrops to train a mask head, not {type(target.masks).__name__}")
    return target.masks


def _to_picture(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    soft: Tensor | None,
    size: tuple[int, int],
    picture_size: tuple[int, int],
) -> Instances:
    boxes = scale_boxes(boxes, size, picture_size)
    masks = None if soft is None else SoftMasks(soft, boxes, picture_size)
    return Instances(size=picture_size, boxes=boxes, labels=labels, scores=scores, masks=masks)
