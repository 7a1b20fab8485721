"""Test-time augmentation: what a model finds in several views of the same pictures is joined.

As in detectron2's `GeneralizedRCNNWithTTA` (detectron2/modeling/test_time_augmentation.py): the detections of all views
are brought to the picture, where the weaker of two that overlap is suppressed as among those of one view. Each box that
is left goes to the mask head and the keypoint head in every view, and mask probabilities and keypoint maps are
averaged, the latter as in Detectron (`KPS_AUG`, mean of the heat maps).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import BoxHeadSettings
from ..data.views import mirror_batch, mirror_boxes
from ..model.box_head import suppress_repetitions
from ..model.mask_rcnn import Detections, MaskRCNN
from ..ops.boxes import clip_boxes, scale_boxes, scale_points
from ..ops.roi_align import PyramidTable
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.soft_masks import SoftMasks

KEPT = 2**30
"""Bytes of features that are kept from the boxes to the masks; those of further views are computed again."""


class View(NamedTuple):
    """The pictures of a batch, `mirrored` or as they are."""

    batch: Batch
    mirrored: bool

    def to_picture(self, boxes: Tensor, i: int) -> Tensor:
        """Boxes [N, 4] of picture i from this view to the caller's pixels."""
        size, picture_size = self.batch.sizes[i], self.batch.picture_sizes[i]
        straight = mirror_boxes(boxes, size[1]) if self.mirrored else boxes
        return clip_boxes(scale_boxes(straight, size, picture_size), picture_size)

    def from_picture(self, boxes: Tensor, i: int) -> Tensor:
        """Boxes [N, 4] of picture i from the caller's pixels to this view."""
        size = self.batch.sizes[i]
        scaled = scale_boxes(boxes, self.batch.picture_sizes[i], size)
        return mirror_boxes(scaled, size[1]) if self.mirrored else scaled


def views_of(batch: Batch, *, flip: bool) -> list[View]:
    """The views of a batch: it and its `rescaled`, each of them with its mirror image if `flip`."""
    sides = (False, True) if flip else (False,)
    return [View(one, mirrored) for one in (batch, *batch.rescaled) for mirrored in sides]


@torch.no_grad()
def predict_views(
    model: MaskRCNN, views: Sequence[View], *, partners: Sequence[int], place: Callable[[Batch], Batch]
) -> list[Instances]:
    """Objects of each picture in the caller's pixels, best first; one view at a time goes through the network.

    Args:
        model: Without a semantic head.
        views: Of the same pictures; keypoints are decoded at the first one's resolution.
        partners: Which keypoint of a picture each keypoint of its mirror image is; of `Skeleton.mirrored`.
        place: Brings a batch to the model's device and precision.
    """
    tables: list[PyramidTable | None] = []
    found: list[list[Detections]] = []
    left = KEPT
    for view in views:
        batch = _placed(view, place)
        features = model.features(batch.images)
        table = model.pooling.table(features)
        detections = model.detect(table, model.propose(features, batch)[0], batch.sizes)
        found.append([(view.to_picture(one[0], i), one[1], one[2]) for i, one in enumerate(detections)])
        left -= table.rows.numel() * table.rows.element_size()
        tables.append(table if left >= 0 else None)
    joined = [join_detections(group, model.settings.box_head) for group in zip(*found, strict=True)]
    masks, maps = _average(model, views, tables, joined, partners, place)
    return _instances(model, views[0].batch, joined, masks, maps)


def join_detections(found: Sequence[Detections], settings: BoxHeadSettings) -> Detections:
    """Of the detections of one picture in all views, in the same pixels, the best of those that overlap.

    Args:
        found: Boxes [D, 4], scores [D] and labels [D] of each view.
        settings: nms_threshold, nms_across_classes, detections.
    """
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    return suppress_repetitions(boxes, scores, labels, settings)


def _placed(view: View, place: Callable[[Batch], Batch]) -> Batch:
    batch = place(view.batch)
    return mirror_batch(batch) if view.mirrored else batch


def _average(
    model: MaskRCNN,
    views: Sequence[View],
    tables: list[PyramidTable | None],
    joined: list[Detections],
    partners: Sequence[int],
    place: Callable[[Batch], Batch],
) -> tuple[Tensor | None, Tensor | None]:
    """[N, m, m] mask probabilities and [N, Kp, m, m] keypoint logits of all pictures' boxes, means over the views."""
    masks: list[Tensor] = []
    maps: list[Tensor] = []
    if not model.mask_heads and model.keypoint_head is None:
        return None, None
    for number, view in enumerate(views):
        table = tables[number]
        tables[number] = None
        if table is None:
            table = model.pooling.table(model.features(_placed(view, place).images))
        found = [(view.from_picture(boxes, i), scores, labels) for i, (boxes, scores, labels) in enumerate(joined)]
        soft = [one for one in model.predict_masks(table, found) if one is not None]
        logits = model.keypoint_logits(table, [boxes for boxes, _, _ in found])
        if soft:
            masks.append(torch.cat(soft).flip(-1) if view.mirrored else torch.cat(soft))
        if logits is not None:
            maps.append(logits.flip(-1)[:, list(partners)] if view.mirrored else logits)
    return (torch.stack(masks).mean(dim=0) if masks else None), (torch.stack(maps).mean(dim=0) if maps else None)


def _instances(
    model: MaskRCNN, batch: Batch, joined: list[Detections], masks: Tensor | None, maps: Tensor | None
) -> list[Instances]:
    """Detections in the caller's pixels, with masks and keypoints where there are some."""
    counts = [len(scores) for _, scores, _ in joined]
    objects = []
    for i, (boxes, scores, labels) in enumerate(joined):
        size, picture_size = batch.sizes[i], batch.picture_sizes[i]
        found = Instances(size=picture_size, boxes=boxes, labels=labels, scores=scores)
        if masks is not None:
            found.masks = SoftMasks(masks.split(counts)[i], boxes, picture_size, paste=model.mask_heads[0].paste)
        if maps is not None and model.keypoint_head is not None:
            points = model.keypoint_head.decode(maps.split(counts)[i], scale_boxes(boxes, picture_size, size))
            points[..., :2] = scale_points(points[..., :2], size, picture_size)
            found.keypoints = points
        objects.append(found)
    return objects
