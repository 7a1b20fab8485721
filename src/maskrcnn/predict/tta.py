"""Prediction with test-time augmentation (TTA): the same images at other scales, and flipped.

As in detectron2's `GeneralizedRCNNWithTTA` (detectron2/modeling/test_time_augmentation.py): the detections of all
augmented batches are mapped to the first one, where NMS keeps the best of those that overlap. Each box that is left
goes to the mask head and the keypoint head in every augmented batch; mask probabilities and keypoint maps are averaged,
the latter as in Detectron (`KPS_AUG`, mean of the heat maps). One batch alone gives what the model gives.
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
"""How many times larger or smaller than usual a scale may be: more is a factor taken for a length, or the reverse."""

KEPT = 2**30
"""Bytes of features that are kept from the boxes to the masks; those of further batches are computed again."""


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


class TTABatch(NamedTuple):
    """The images of a batch, `flipped` or as they are."""

    batch: Batch
    flipped: bool = False

    def map_boxes(self, boxes: Tensor, i: int, other: TTABatch) -> Tensor:
        """Boxes [N, 4] of image i in the other batch; in this one itself as they are."""
        if other is self:
            return boxes
        own, size = self.batch.sizes[i], other.batch.sizes[i]
        straight = flip_boxes(boxes, own[1]) if self.flipped else boxes
        scaled = clip_boxes(scale_boxes(straight, own, size), size)
        return flip_boxes(scaled, size[1]) if other.flipped else scaled


def tta_batches(scales: Scales, *, flip: bool) -> list[TTABatch]:
    """The augmented batches of some images: each scale, and with `flip` the flipped images of each."""
    sides = (False, True) if flip else (False,)
    return [TTABatch(batch, flipped) for batch in scales.batches for flipped in sides]


@torch.no_grad()
def predict_tta(
    model: MaskRCNN, batches: Sequence[TTABatch], *, partners: Sequence[int], place: Callable[[Batch], Batch]
) -> list[Instances]:
    """Objects of each image in the caller's pixels, best first; one batch at a time goes through the network.

    Args:
        model: With a semantic head it finds segments in the first batch alone.
        batches: Of the same images; the first one has the resolution at which keypoints are decoded.
        partners: Which keypoint of an image each keypoint of its flipped image is; of `KeypointSchema.mirrored`.
        place: Brings a batch to the model's device and precision.

    Raises:
        SettingError: There are several batches, but the model has a box head of one's own that cannot join detections.
    """
    first = batches[0]
    batch = _placed(first, place)
    features = model.features(batch.images)
    table = model.pooling.table(features)
    detected = [model.detect(table, model.propose(features, batch)[0], batch.sizes)]
    tables: list[PyramidTable | None] = [table]
    left = KEPT
    for augmented in batches[1:]:
        other = _placed(augmented, place)
        maps = model.features(other.images)
        table = model.pooling.table(maps)
        detections = model.detect(table, model.propose(maps, other)[0], other.sizes)
        detected.append([(augmented.map_boxes(one[0], i, first), *one[1:]) for i, one in enumerate(detections)])
        left -= table.rows.numel() * table.rows.element_size()
        tables.append(table if left >= 0 else None)
    joined = [_join(model, group) for group in zip(*detected, strict=True)]
    masks, logits = _average(model, batches, tables, joined, partners, place)
    return _assemble(model, joined, masks, logits, features, batch)


def _join(model: MaskRCNN, detections: Sequence[Detections]) -> Detections:
    """The box head's choice among the detections of one image; those of one batch alone are left as they are."""
    if len(detections) == 1:
        return detections[0]
    if not isinstance(model.box_head, JoinsDetections):
        raise SettingError(
            f"scales and flip: the box head {type(model.box_head).__name__} has no method `join`, which test-time "
            "augmentation needs. Add it, see `maskrcnn.model.interfaces.JoinsDetections`, or predict at one scale."
        )
    return model.box_head.join(detections)


def _placed(augmented: TTABatch, place: Callable[[Batch], Batch]) -> Batch:
    batch = place(augmented.batch)
    return flip_batch(batch) if augmented.flipped else batch


def _average(
    model: MaskRCNN,
    batches: Sequence[TTABatch],
    tables: list[PyramidTable | None],
    joined: list[Detections],
    partners: Sequence[int],
    place: Callable[[Batch], Batch],
) -> tuple[list[Tensor | None], Tensor | None]:
    """Means over the batches: of each image [D, m, m] mask probabilities, of all [N, Kp, m, m] keypoint logits."""
    masks: list[list[Tensor | None]] = []
    maps: list[Tensor] = []
    if not model.mask_heads and model.keypoint_head is None:
        return [None] * len(joined), None
    for number, augmented in enumerate(batches):
        table = tables[number]
        tables[number] = None
        if table is None:
            table = model.pooling.table(model.features(_placed(augmented, place).images))
        detections = [(batches[0].map_boxes(one[0], i, augmented), *one[1:]) for i, one in enumerate(joined)]
        soft = model.predict_masks(table, detections)
        masks.append([one.flip(-1) if augmented.flipped and one is not None else one for one in soft])
        logits = model.keypoint_logits(table, [boxes for boxes, _, _ in detections])
        if logits is not None:
            maps.append(logits.flip(-1)[:, list(partners)] if augmented.flipped else logits)
    return [_mean(parts) for parts in zip(*masks, strict=True)], _mean(maps)


def _mean(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    if len(there) < 2:
        return there[0] if there else None
    return torch.stack(there).mean(dim=0)


def _assemble(
    model: MaskRCNN,
    detections: list[Detections],
    masks: list[Tensor | None],
    logits: Tensor | None,
    features: dict[int, Tensor],
    batch: Batch,
) -> list[Instances]:
    """Detections in the caller's pixels, with masks, keypoints and segments where there are some."""
    keypoints: list[Tensor | None] = [None] * len(detections)
    if logits is not None and model.keypoint_head is not None:
        points = model.keypoint_head.decode(logits, torch.cat([one[0] for one in detections]))
        keypoints = list(points.split([len(one[0]) for one in detections]))
    return model.to_instances(detections, masks, keypoints, features, batch)
