"""Mask R-CNN: images to losses, or to objects."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..config import ModelSettings, PanopticSettings
from ..ops.boxes import scale_boxes, scale_points
from ..ops.devices import at_least_float32
from ..ops.roi_align import PyramidTable, make_table
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.predicted_masks import SoftMasks
from .checks import ATTRIBUTES, check_channels, check_losses, check_masks, check_part, check_strides
from .interfaces import (
    Backbone,
    BoxHeadLike,
    Detections,
    Features,
    KeypointHeadLike,
    Losses,
    MaskHeadLike,
    Neck,
    Pool,
    Positives,
    Proposer,
    Sampled,
    SemanticHeadLike,
)
from .panoptic import merge_panoptic
from .roi_pooling import RoIPooling


class MaskRCNN(nn.Module):
    """Two stages: proposals from the whole image, then class, box, mask and keypoints of each of them.

    `forward` gives losses and `predict` gives objects; neither asks whether the module is in training mode. What each
    part must be able to do stands in `model/interfaces.py`; `build_model` makes them from settings.

    Args:
        backbone, neck: Images to the maps that all others see.
        rpn: Proposals.
        pooling: Features of boxes.
        box_head: Classes and boxes.
        mask_head: Masks; an `nn.ModuleList` has one for each stage of the box head, whose masks are averaged.
        keypoint_head: Keypoints.
        semantic_head: Classes of pixels.
        shared_head: Changes pooled features before any head sees them (stage 5 of C4 models).
        panoptic: How objects and classes of pixels are joined.
        classes: Number of classes K, without background.
        settings: What it was built from, to be stored with its weights; nothing is read from them here.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        neck: Neck,
        rpn: Proposer,
        pooling: RoIPooling,
        box_head: BoxHeadLike,
        mask_head: MaskHeadLike | nn.ModuleList | None = None,
        keypoint_head: KeypointHeadLike | None = None,
        semantic_head: SemanticHeadLike | None = None,
        shared_head: nn.Module | None = None,
        panoptic: PanopticSettings | None = None,
        classes: int,
        settings: ModelSettings | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.rpn = rpn
        self.pooling = pooling
        self.shared_head = shared_head
        self.box_head = box_head
        self.mask_head = mask_head
        self.keypoint_head = keypoint_head
        self.semantic_head = semantic_head
        self.panoptic = panoptic or PanopticSettings()
        self.classes = classes
        self.settings = settings or ModelSettings()
        for name in ATTRIBUTES:
            check_part(getattr(self, name), name)

    @property
    def mask_heads(self) -> list[MaskHeadLike]:
        """None, one, or one for each stage of the box head."""
        heads: Any = self.mask_head
        several = isinstance(heads, nn.ModuleList)
        return [] if heads is None else list(heads) if several else [heads]

    def forward(self, batch: Batch, parts: Collection[str] = ("rpn", "heads")) -> Losses:
        """Losses of a batch with targets, one scalar each.

        rpn_objectness and rpn_boxes (unless the batch brings its proposals), classes, boxes, and masks, keypoints and
        semantic where the model has such a head.

        Args:
            batch: With targets.
            parts: "rpn", "heads" or both: whose losses are computed.
        """
        if batch.targets is None:
            raise ValueError("a batch without targets has no loss; use predict()")
        features = self.features(batch.images)
        table = make_table(features)
        losses: Losses = {}
        proposals = batch.proposals
        if proposals is None:
            losses, proposals = self.rpn.loss(features, table, batch)
        losses = check_losses(losses, "rpn") if "rpn" in parts else {}
        if "heads" not in parts:
            return losses
        found, stages = self.box_head.loss(self._pool_for_boxes(table), proposals, batch.targets, batch.sizes)
        losses = check_losses(found, "box_head", losses)
        losses = check_losses(self._mask_loss(table, stages, batch.targets), "mask_head", losses)
        if self.keypoint_head is not None:
            pooled, positives = self._positives(table, stages[0], batch.targets, self.keypoint_head.pool_size)
            losses = check_losses(self.keypoint_head.loss(pooled, positives), "keypoint_head", losses)
        if self.semantic_head is not None:
            if batch.semantic is None:
                raise ValueError("a batch needs the classes of its pixels to train a semantic head")
            losses = check_losses(self.semantic_head.loss(features, batch.semantic), "semantic_head", losses)
        return losses

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[Instances]:
        """Objects of each image in the caller's pixels, best first."""
        features = self.features(batch.images)
        table = self.pooling.table(features)
        found = self.detect(table, self.propose(features, batch)[0], batch.sizes)
        masks, keypoints = self.predict_masks(table, found), self.predict_keypoints(table, found)
        return self.to_instances(found, masks, keypoints, features, batch)

    def to_instances(
        self,
        found: list[Detections],
        masks: list[Tensor | None],
        keypoints: list[Tensor | None],
        features: Features,
        batch: Batch,
    ) -> list[Instances]:
        """What the heads gave for each image in the caller's pixels, with segments if there is a semantic head."""
        objects = [
            self._to_image(i, *parts, batch) for i, parts in enumerate(zip(found, masks, keypoints, strict=True))
        ]
        if self.semantic_head is None:
            return objects
        maps = self.semantic_head.predict(features, batch)
        return [
            replace(one, panoptic=merge_panoptic(one, semantic, self.panoptic))
            for one, semantic in zip(objects, maps, strict=True)
        ]

    def features(self, images: Tensor) -> Features:
        """{level: [B, C, H_l, W_l]} of normalized images [B, channels, H, W]."""
        maps = check_channels(self.backbone(images), self.backbone.channels)
        return check_strides(self.neck(maps), self.pooling.levels, images)

    @torch.no_grad()
    def propose(self, features: Features, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Per image [P, 4] boxes that may hold an object, in network coordinates, and what they are ranked by [P].

        A batch that brings its own proposals keeps them.
        """
        if batch.proposals is not None:
            return batch.proposals, [torch.ones_like(boxes[:, 0]) for boxes in batch.proposals]
        return self.rpn.predict(features, batch)

    def detect(self, table: PyramidTable, proposals: list[Tensor], sizes: list[tuple[int, int]]) -> list[Detections]:
        """Detections of each image from its proposals."""
        return self.box_head.predict(self._pool_for_boxes(table), proposals, sizes)

    def predict_masks(self, table: PyramidTable, found: list[Detections]) -> list[Tensor | None]:
        """Per image [D, m, m] probabilities, the mean over the mask heads; None without one."""
        heads = self.mask_heads
        if not heads:
            return [None] * len(found)
        pooled = self.pool(table, [boxes for boxes, _, _ in found], heads[0].pool_size)
        labels = torch.cat([labels for _, _, labels in found])
        votes = [at_least_float32(check_masks(head.predict(pooled, labels), len(labels))) for head in heads]
        return list(torch.stack(votes).mean(dim=0).split([len(boxes) for boxes, _, _ in found]))

    def predict_keypoints(self, table: PyramidTable, found: list[Detections]) -> list[Tensor | None]:
        """Per image [D, Kp, 3] x, y in network coordinates and score; None without a keypoint head."""
        boxes = [boxes for boxes, _, _ in found]
        logits = self.keypoint_logits(table, boxes)
        if self.keypoint_head is None or logits is None:
            return [None] * len(found)
        return list(self.keypoint_head.decode(logits, torch.cat(boxes)).split([len(group) for group in boxes]))

    def keypoint_logits(self, table: PyramidTable, boxes: list[Tensor]) -> Tensor | None:
        """[N, Kp, m, m] of each image's boxes [N_i, 4], joined; None without a keypoint head."""
        if self.keypoint_head is None:
            return None
        return self.keypoint_head(self.pool(table, boxes, self.keypoint_head.pool_size))

    def pool(self, table: PyramidTable, boxes: list[Tensor], size: int) -> Tensor:
        """Features [N, S, S, C] of each image's boxes [N_i, 4], after the shared head if there is one."""
        pooled = self.pooling.pool(table, boxes, size)
        return pooled if self.shared_head is None else self.shared_head(pooled)

    def _pool_for_boxes(self, table: PyramidTable) -> Pool:
        return lambda boxes: self.pool(table, boxes, self.box_head.pool_size)

    def _mask_loss(self, table: PyramidTable, stages: list[Sampled], targets: list[Instances]) -> Losses:
        losses: dict[str, list[Tensor]] = {}
        for head, stage in zip(self.mask_heads, stages, strict=False):
            pooled, positives = self._positives(table, stage, targets, head.pool_size)
            for name, loss in check_losses(head.loss(pooled, positives), "mask_head").items():
                losses.setdefault(name, []).append(stage.weight * loss)
        return {name: torch.stack(own).sum() for name, own in losses.items()}

    def _positives(
        self, table: PyramidTable, stage: Sampled, objects: list[Instances], size: int
    ) -> tuple[Tensor, Positives]:
        """Pooled features of a stage's positive proposals, and what they are.

        What a shared head has computed for the boxes is used again.
        """
        found = stage.targets
        boxes = list(found.proposals[found.positives].split(found.positive_counts))
        positives = Positives(boxes, found.labels[found.positives], found.matches_of_images(), objects)
        if self.shared_head is not None and size == self.box_head.pool_size:
            return stage.pooled[found.positives], positives
        return self.pool(table, boxes, size), positives

    def _to_image(
        self, i: int, found: Detections, soft: Tensor | None, keypoints: Tensor | None, batch: Batch
    ) -> Instances:
        """Detections of image i in the caller's pixels."""
        size, image_size = batch.sizes[i], batch.image_sizes[i]
        boxes, scores, labels = found
        boxes = scale_boxes(boxes, size, image_size)
        masks = None if soft is None else SoftMasks(soft, boxes, image_size, paste=self.mask_heads[0].paste)
        if keypoints is not None:
            keypoints = torch.cat([scale_points(keypoints[..., :2], size, image_size), keypoints[..., 2:]], dim=-1)
        return Instances(size=image_size, boxes=boxes, labels=labels, scores=scores, masks=masks, keypoints=keypoints)
