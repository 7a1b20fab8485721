"""Mask R-CNN: pictures to losses, or to objects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ..config import ModelSettings
from ..ops.boxes import scale_boxes, scale_points
from ..ops.roi_align import PyramidTable, make_table
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.soft_masks import SoftMasks
from .anchors import Anchors
from .cascade import StageOutput, cascade_loss, cascade_predictions, stage_settings
from .keypoint_head import KeypointHead, keypoint_loss, keypoint_predictions, keypoint_targets
from .mask_head import MaskHead, mask_loss, mask_predictions, mask_targets
from .panoptic import merge_panoptic
from .roi_pooling import RoIPooling
from .rpn import RPN, rpn_loss, rpn_predictions, rpn_targets
from .semantic_head import SemanticHead, semantic_labels, semantic_loss, semantic_targets

Detections = tuple[Tensor, Tensor, Tensor]
"""Boxes [D, 4] in network coordinates, scores [D] and labels [D] of one picture."""


@dataclass
class Parts:
    """What a Mask R-CNN is made of; see `build_model`."""

    body: nn.Module
    neck: nn.Module
    anchors: Anchors
    rpn: RPN
    pooling: RoIPooling
    shared_head: nn.Module | None
    box_heads: list[nn.Module]
    mask_heads: list[MaskHead]
    keypoint_head: KeypointHead | None
    semantic_head: SemanticHead | None


class MaskRCNN(nn.Module):
    """Two stages: proposals from the whole picture, then class, box, mask and keypoints of each of them.

    `forward` gives losses and `predict` gives objects; neither asks whether the module is in training mode.
    """

    def __init__(self, parts: Parts, *, classes: int, settings: ModelSettings) -> None:
        super().__init__()
        self.body = parts.body
        self.neck = parts.neck
        self.anchors = parts.anchors
        self.rpn = parts.rpn
        self.pooling = parts.pooling
        self.shared_head = parts.shared_head
        self.box_heads = nn.ModuleList(parts.box_heads)
        self.mask_heads = nn.ModuleList(parts.mask_heads)
        self.keypoint_head = parts.keypoint_head
        self.semantic_head = parts.semantic_head
        self.classes = classes
        self.settings = settings

    def forward(self, batch: Batch, parts: Collection[str] = ("rpn", "heads")) -> dict[str, Tensor]:
        """Losses of a batch with targets, one scalar each.

        rpn_objectness and rpn_boxes (unless the batch brings its proposals), classes, boxes, and masks, keypoints and
        semantic where the model has such a head.

        Args:
            batch: With targets.
            parts: "rpn", "heads" or both: whose losses are computed.
        """
        targets = batch.targets
        if targets is None:
            raise ValueError("a batch without targets has no loss; use predict()")
        features = self.features(batch.images)
        table = make_table(features)
        losses, proposals = self._propose_training(features, table, batch, targets)
        losses = losses if "rpn" in parts else {}
        if "heads" not in parts:
            return losses
        size = self.settings.box_head.pool_size
        box_losses, stages = cascade_loss(
            list(self.box_heads),
            lambda boxes: self.pool(table, boxes, size),
            proposals,
            targets,
            batch.sizes,
            classes=self.classes,
            settings=self.settings,
        )
        losses |= box_losses
        losses |= self._mask_loss(table, stages, targets)
        losses |= self._keypoint_loss(table, stages[0], targets)
        losses |= self._semantic_loss(features, batch)
        return losses

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Instances]:
        """Objects of each picture in the caller's pixels, best first."""
        features = self.features(batch.images)
        table = self.pooling.table(features)
        found = self.detect(table, self.propose(features, batch)[0], batch.sizes)
        masks, keypoints = self.predict_masks(table, found), self.predict_keypoints(table, found)
        objects = [
            self._to_picture(i, *parts, batch) for i, parts in enumerate(zip(found, masks, keypoints, strict=True))
        ]
        return self._add_panoptic(objects, features, batch)

    def features(self, images: Tensor) -> dict[int, Tensor]:
        """{level: [B, C, H_l, W_l]} of normalised pictures [B, channels, H, W]."""
        return self.neck(self.body(images))

    @torch.no_grad()
    def propose(self, features: dict[int, Tensor], batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Per picture [P, 4] boxes that may hold an object, in network coordinates, and what they are ranked by [P].

        A batch that brings its own proposals keeps them.
        """
        if batch.proposals is not None:
            return batch.proposals, [torch.ones_like(boxes[:, 0]) for boxes in batch.proposals]
        settings = self.settings.rpn
        logits, deltas = self.rpn(features)
        return rpn_predictions(
            logits,
            deltas,
            self._anchors(features, batch),
            batch.sizes,
            settings,
            candidates=settings.candidates,
            proposals=settings.proposals,
            clamp_both_sides=settings.clamp_both_sides,
        )

    def detect(self, table: PyramidTable, proposals: list[Tensor], sizes: list[tuple[int, int]]) -> list[Detections]:
        """Detections of each picture from its proposals."""
        size = self.settings.box_head.pool_size
        return cascade_predictions(
            list(self.box_heads),
            lambda boxes: self.pool(table, boxes, size),
            proposals,
            sizes,
            settings=self.settings,
        )

    def predict_masks(self, table: PyramidTable, found: list[Detections]) -> list[Tensor | None]:
        """Per picture [D, m, m] probabilities, the mean over the mask heads; None without one."""
        settings = self.settings.mask_head
        if settings is None or not self.mask_heads:
            return [None] * len(found)
        pooled = self.pool(table, [boxes for boxes, _, _ in found], settings.pool_size)
        labels = torch.cat([labels for _, _, labels in found])
        votes = [mask_predictions(head(pooled, labels), labels, settings) for head in self.mask_heads]
        return list(torch.stack(votes).mean(dim=0).split([len(boxes) for boxes, _, _ in found]))

    def predict_keypoints(self, table: PyramidTable, found: list[Detections]) -> list[Tensor | None]:
        """Per picture [D, Kp, 3] x, y in network coordinates and score; None without a keypoint head."""
        boxes = [boxes for boxes, _, _ in found]
        settings, logits = self.settings.keypoint_head, self.keypoint_logits(table, boxes)
        if settings is None or logits is None:
            return [None] * len(found)
        return list(keypoint_predictions(logits, torch.cat(boxes), settings).split([len(group) for group in boxes]))

    def keypoint_logits(self, table: PyramidTable, boxes: list[Tensor]) -> Tensor | None:
        """[N, Kp, m, m] of each picture's boxes [N_i, 4], joined; None without a keypoint head."""
        settings = self.settings.keypoint_head
        if settings is None or self.keypoint_head is None:
            return None
        return self.keypoint_head(self.pool(table, boxes, settings.pool_size))

    def pool(self, table: PyramidTable, boxes: list[Tensor], size: int) -> Tensor:
        """Features [N, S, S, C] of each picture's boxes [N_i, 4], after the shared head if there is one."""
        pooled = self.pooling.pool(table, boxes, size)
        return pooled if self.shared_head is None else self.shared_head(pooled)

    def _propose_training(
        self, features: dict[int, Tensor], table: PyramidTable, batch: Batch, targets: list[Instances]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses, and per picture [N, 4] proposals for the heads."""
        if batch.proposals is not None:
            return {}, batch.proposals
        settings = self.settings.rpn
        patches = self.rpn.patches_pay(features, settings.samples)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not patches):
            logits, deltas = self.rpn(features)
        # torch 2.9 keeps weights that autocast has cast without gradients, and would hand them to the patches
        # (https://github.com/pytorch/pytorch/issues/112583).
        torch.clear_autocast_cache()
        anchors = self._anchors(features, batch)
        proposals, _ = rpn_predictions(
            logits,
            deltas,
            anchors,
            batch.sizes,
            settings,
            candidates=settings.candidates_training,
            proposals=settings.proposals_training,
            clamp_both_sides=settings.clamp_both_sides,
        )
        boxes = [target.boxes for target in targets]
        positives, negatives, wanted = rpn_targets(torch.cat(anchors), boxes, settings)
        chosen = torch.cat([positives, negatives])
        if patches:
            read = self.rpn.of_anchors(table, chosen)
        else:
            read = torch.cat(logits, dim=1).flatten()[chosen], torch.cat(deltas, dim=1).flatten(0, 1)[chosen]
        return rpn_loss(*read, wanted, len(targets), settings, epsilon=settings.loss_epsilon), proposals

    def _anchors(self, features: dict[int, Tensor], batch: Batch) -> list[Tensor]:
        dtype = torch.float64 if batch.images.dtype == torch.float64 else torch.float32
        height, width = batch.images.shape[-2:]
        return self.anchors(features, (height, width), dtype)

    def _mask_loss(self, table: PyramidTable, stages: list[StageOutput], targets: list[Instances]) -> dict[str, Tensor]:
        settings = self.settings.mask_head
        if settings is None:
            return {}
        losses = []
        weights = [weight for _, weight in stage_settings(self.settings)]
        for head, stage, weight in zip(self.mask_heads, stages, weights, strict=False):
            pooled, boxes, labels = self._positives(table, stage, settings.pool_size)
            matches, size = stage.targets.matches_of_pictures(), cast(MaskHead, head).size
            wanted = mask_targets([target.masks for target in targets], matches, boxes, size, settings)
            losses.append(weight * mask_loss(head(pooled, labels), labels, wanted, settings)["masks"])
        return {"masks": torch.stack(losses).sum()}

    def _keypoint_loss(self, table: PyramidTable, stage: StageOutput, targets: list[Instances]) -> dict[str, Tensor]:
        settings, head = self.settings.keypoint_head, self.keypoint_head
        if settings is None or head is None:
            return {}
        pooled, boxes, _ = self._positives(table, stage, settings.pool_size)
        wanted = [
            keypoint_targets(_keypoints_of(target)[matches], group, 4 * settings.pool_size)
            for target, matches, group in zip(targets, stage.targets.matches_of_pictures(), boxes, strict=True)
        ]
        positions, valid = (torch.cat(parts) for parts in zip(*wanted, strict=True))
        return keypoint_loss(head(pooled), positions, valid, settings)

    def _positives(self, table: PyramidTable, stage: StageOutput, size: int) -> tuple[Tensor, list[Tensor], Tensor]:
        """Pooled features of a stage's positive proposals, their boxes per picture, and their labels.

        What a shared head has computed for the boxes is used again.
        """
        found = stage.targets
        boxes, labels = (
            list(found.proposals[found.positives].split(found.positive_counts)),
            found.labels[found.positives],
        )
        if self.shared_head is not None and size == self.settings.box_head.pool_size:
            return stage.pooled[found.positives], boxes, labels
        return self.pool(table, boxes, size), boxes, labels

    def _semantic_loss(self, features: dict[int, Tensor], batch: Batch) -> dict[str, Tensor]:
        settings, head = self.settings.semantic_head, self.semantic_head
        if settings is None or head is None:
            return {}
        if batch.semantic is None:
            raise ValueError("a batch needs the classes of its pixels to train a semantic head")
        return semantic_loss(head(features), semantic_targets(batch.semantic, settings), settings)

    def _add_panoptic(self, objects: list[Instances], features: dict[int, Tensor], batch: Batch) -> list[Instances]:
        """The same objects; with a semantic head, each picture's segments with them."""
        settings, head = self.settings.semantic_head, self.semantic_head
        if settings is None or head is None:
            return objects
        logits = head(features)
        height, width = batch.images.shape[-2:]
        for found, one, size in zip(objects, logits, batch.sizes, strict=True):
            semantic = semantic_labels(one, size, found.size, (height, width))
            found.panoptic = merge_panoptic(found, semantic, self.settings.panoptic, settings)
        return objects

    def _to_picture(
        self, i: int, found: Detections, soft: Tensor | None, keypoints: Tensor | None, batch: Batch
    ) -> Instances:
        """Detections of picture i in the caller's pixels."""
        size, picture_size = batch.sizes[i], batch.picture_sizes[i]
        boxes, scores, labels = found
        boxes = scale_boxes(boxes, size, picture_size)
        masks = None
        if soft is not None and self.settings.mask_head is not None:
            masks = SoftMasks(soft, boxes, picture_size, paste=self.settings.mask_head.paste)
        if keypoints is not None:
            keypoints = torch.cat([scale_points(keypoints[..., :2], size, picture_size), keypoints[..., 2:]], dim=-1)
        return Instances(size=picture_size, boxes=boxes, labels=labels, scores=scores, masks=masks, keypoints=keypoints)


def _keypoints_of(target: Instances) -> Tensor:
    if target.keypoints is None:
        raise ValueError("targets need keypoints to train a keypoint head")
    return target.keypoints
