"""Prediction in one or several views of the same images (test-time augmentation): other scales, flipped.

As in detectron2's `GeneralizedRCNNWithTTA` (detectron2/modeling/test_time_augmentation.py): the detections of all views
are brought to the first one, where the weaker of two that overlap is suppressed as among those of one view. Each box
that is left goes to the mask head and the keypoint head in every view, and mask probabilities and keypoint maps are
averaged, the latter as in Detectron (`KPS_AUG`, mean of the heat maps). One view alone gives what the model gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import InputSettings
from ..errors import SettingError
from ..model.interfaces import Detections, JoinsDetections
from ..model.mask_rcnn import MaskRCNN
from ..ops.boxes import clip_boxes, scale_boxes
from ..ops.roi_align import PyramidTable
from ..structures.batch import Batch, Scales
from ..structures.instances import Instances

FARTHEST = 8
"""How many times larger or smaller than usual a view may be: more is a factor taken for a length, or the reverse."""

KEPT = 2**30
"""Bytes of features that are kept from the boxes to the masks; those of further views are computed again."""


def scaled_inputs(settings: InputSettings, scales: Sequence[float]) -> list[InputSettings]:
    """The network's input at each scale; `max_size` keeps its proportion, so that each is the usual one, enlarged.

    Args:
        settings: The usual input.
        scales: In place of its `scale_factor`, or of its `min_size` where it has none; repeated ones count once.

    Returns:
        At least one: the usual input if no scales are given.

    Raises:
        SettingError: A scale is a fraction of a pixel, or more than `FARTHEST` times off the usual one.
    """
    return [_scaled(settings, scale) for scale in dict.fromkeys(scales)] or [settings]


def _scaled(settings: InputSettings, scale: float) -> InputSettings:
    usual = settings.scale_factor or settings.min_size
    lowest, highest = usual / FARTHEST, usual * FARTHEST
    if not lowest <= scale <= highest or (settings.scale_factor is None and scale != round(scale)):
        kind = "lengths of the shorter side in whole pixels" if settings.scale_factor is None else "factors"
        name = "min_size" if settings.scale_factor is None else "scale_factor"
        raise SettingError(
            f"scale {scale:g}: scales are {kind} for these weights, whose input.{name} is {usual:g}. Give "
            f"numbers from {lowest:g} to {highest:g}."
        )
    size = {"min_size": round(scale)} if settings.scale_factor is None else {"scale_factor": scale}
    return settings.changed({**size, "max_size": max(1, round(settings.max_size * scale / usual))})


def flip_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes [..., 4] in the flipped image of an image of this width."""
    x1, y1, x2, y2 = boxes.unbind(dim=-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def flip_batch(batch: Batch) -> Batch:
    """Every image and its proposals in a mirror; the padding stays at the right. Targets are left out."""
    images = torch.zeros_like(batch.images)
    for place, image, (height, width) in zip(images, batch.images, batch.sizes, strict=True):
        place[:, :height, :width] = image[:, :height, :width].flip(-1)
    proposals = batch.proposals
    if proposals is not None:
        proposals = [flip_boxes(boxes, width) for boxes, (_, width) in zip(proposals, batch.sizes, strict=True)]
    return replace(batch, images=images, proposals=proposals, targets=None, semantic=None)


class View(NamedTuple):
    """The images of a batch, `flipped` or as they are."""

    batch: Batch
    flipped: bool = False

    def carry(self, boxes: Tensor, i: int, other: View) -> Tensor:
        """Boxes [N, 4] of image i from this view to another one; to itself as they are."""
        if other is self:
            return boxes
        own, size = self.batch.sizes[i], other.batch.sizes[i]
        straight = flip_boxes(boxes, own[1]) if self.flipped else boxes
        scaled = clip_boxes(scale_boxes(straight, own, size), size)
        return flip_boxes(scaled, size[1]) if other.flipped else scaled


def views_of(scales: Scales, *, flip: bool) -> list[View]:
    """The views of some images: each scale, and with `flip` the flipped image of each."""
    sides = (False, True) if flip else (False,)
    return [View(batch, flipped) for batch in scales.batches for flipped in sides]


@torch.no_grad()
def predict_views(
    model: MaskRCNN, views: Sequence[View], *, partners: Sequence[int], place: Callable[[Batch], Batch]
) -> list[Instances]:
    """Objects of each image in the caller's pixels, best first; one view at a time goes through the network.

    Args:
        model: With a semantic head it finds segments in the first view alone.
        views: Of the same images; the first one has the resolution at which keypoints are decoded.
        partners: Which keypoint of an image each keypoint of its flipped image is; of `KeypointSchema.mirrored`.
        place: Brings a batch to the model's device and precision.

    Raises:
        SettingError: There are several views, but the model has a box head of one's own that cannot join detections.
    """
    first = views[0]
    batch = _placed(first, place)
    features = model.features(batch.images)
    table = model.pooling.table(features)
    found = [model.detect(table, model.propose(features, batch)[0], batch.sizes)]
    tables: list[PyramidTable | None] = [table]
    left = KEPT
    for view in views[1:]:
        other = _placed(view, place)
        maps = model.features(other.images)
        table = model.pooling.table(maps)
        detections = model.detect(table, model.propose(maps, other)[0], other.sizes)
        found.append([(view.carry(one[0], i, first), *one[1:]) for i, one in enumerate(detections)])
        left -= table.rows.numel() * table.rows.element_size()
        tables.append(table if left >= 0 else None)
    joined = [_join(model, group) for group in zip(*found, strict=True)]
    masks, logits = _average(model, views, tables, joined, partners, place)
    return _assemble(model, joined, masks, logits, features, batch)


def _join(model: MaskRCNN, found: Sequence[Detections]) -> Detections:
    """The box head's choice among the detections of one image; those of one view alone are left as they are."""
    if len(found) == 1:
        return found[0]
    if not isinstance(model.box_head, JoinsDetections):
        raise SettingError(
            f"scales and flip: the box head {type(model.box_head).__name__} has no method `join`, which test-time "
            "augmentation needs. Add it, see `maskrcnn.model.interfaces.JoinsDetections`, or predict at one scale."
        )
    return model.box_head.join(found)


def _placed(view: View, place: Callable[[Batch], Batch]) -> Batch:
    batch = place(view.batch)
    return flip_batch(batch) if view.flipped else batch


def _average(
    model: MaskRCNN,
    views: Sequence[View],
    tables: list[PyramidTable | None],
    joined: list[Detections],
    partners: Sequence[int],
    place: Callable[[Batch], Batch],
) -> tuple[list[Tensor | None], Tensor | None]:
    """Means over the views: of each image [D, m, m] mask probabilities, of all [N, Kp, m, m] keypoint logits."""
    masks: list[list[Tensor | None]] = []
    maps: list[Tensor] = []
    if not model.mask_heads and model.keypoint_head is None:
        return [None] * len(joined), None
    for number, view in enumerate(views):
        table = tables[number]
        tables[number] = None
        if table is None:
            table = model.pooling.table(model.features(_placed(view, place).images))
        found = [(views[0].carry(one[0], i, view), *one[1:]) for i, one in enumerate(joined)]
        soft = model.predict_masks(table, found)
        masks.append([one.flip(-1) if view.flipped and one is not None else one for one in soft])
        logits = model.keypoint_logits(table, [boxes for boxes, _, _ in found])
        if logits is not None:
            maps.append(logits.flip(-1)[:, list(partners)] if view.flipped else logits)
    return [_mean(parts) for parts in zip(*masks, strict=True)], _mean(maps)


def _mean(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    if len(there) < 2:
        return there[0] if there else None
    return torch.stack(there).mean(dim=0)


def _assemble(
    model: MaskRCNN,
    found: list[Detections],
    masks: list[Tensor | None],
    logits: Tensor | None,
    features: dict[int, Tensor],
    batch: Batch,
) -> list[Instances]:
    """Detections in the caller's pixels, with masks, keypoints and segments where there are some."""
    keypoints: list[Tensor | None] = [None] * len(found)
    if logits is not None and model.keypoint_head is not None:
        points = model.keypoint_head.decode(logits, torch.cat([one[0] for one in found]))
        keypoints = list(points.split([len(one[0]) for one in found]))
    return model.to_instances(found, masks, keypoints, features, batch)
