"""Ground truth and predictions as faster-coco-eval takes them, without the copies its own loaders make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from faster_coco_eval import COCO
from faster_coco_eval.core import mask as coco_mask

from ..structures.masks import Crop, encode_crop
from ..structures.rle import counts_from_text, crop_from_counts
from .annotations import Annotations, Size
from .keypoints import keypoint_objects
from .results import FIELDS, IouType

Measure = IouType | Literal["boundary"]
"""What objects are compared by."""
MASKS_TOGETHER = 10_000
"""Masks whose areas are counted together."""
WIDTH = 0.02
"""Width of a boundary as a part of the image's diagonal, the paper's choice for COCO."""


def truth_objects(truth: Annotations, iou_type: Measure) -> list[dict]:
    """The annotated objects, as copies, because the evaluator writes into them."""
    objects = [dict(found) for found in (keypoint_objects(truth) if iou_type == "keypoints" else truth.complete)]
    if iou_type in ("segm", "boundary"):
        for found, mask in zip(objects, truth.masks, strict=True):
            found["rle"] = mask
    return _with_boundaries(objects, truth) if iou_type == "boundary" else objects


def found_objects(truth: Annotations, records: Sequence[dict], iou_type: Measure) -> list[dict]:
    """Predictions of one IoU type.

    Args:
        truth: Their ground truth.
        records: Of `Results`, all with the field of the IoU type. They are not changed.
        iou_type: An object's size is that of its box, of its mask, or of the box around its keypoints.
    """
    common = ("image_id", "category_id", "score")
    found = [{"id": n, **{name: record[name] for name in common}} for n, record in enumerate(records, start=1)]
    values = [record[field_of(iou_type)] for record in records]
    if iou_type == "bbox":
        for one, box in zip(found, values, strict=True):
            one |= {"bbox": box, "area": box[2] * box[3]}
    elif iou_type == "keypoints":
        for one, points, (x, y, width, height) in zip(found, values, _boxes_around(values), strict=True):
            one |= {"keypoints": points, "bbox": [x, y, width, height], "area": width * height}
    else:
        for one, mask, area in zip(found, values, _areas(values), strict=True):
            one |= {"rle": mask, "area": area}
    return _with_boundaries(found, truth) if iou_type == "boundary" else found


def as_dataset(truth: Annotations, objects: list[dict]) -> COCO:
    """Objects with the images and categories of the ground truth."""
    made = COCO()
    made.dataset = {
        "images": [{"id": key, "height": height, "width": width} for key, (height, width) in truth.sizes.items()],
        "categories": [{"id": key, "name": name} for key, name in truth.categories.items()],
        "annotations": objects,
    }
    made.createIndex()
    return made


def silent(*_: object) -> None:
    """Takes the place of the evaluator's print."""


def field_of(iou_type: Measure) -> str:
    """The field of a result that is compared."""
    return FIELDS["segm" if iou_type == "boundary" else iou_type]


def _areas(masks: list[dict]) -> list[int]:
    blocks = [masks[start : start + MASKS_TOGETHER] for start in range(0, len(masks), MASKS_TOGETHER)]
    return [area for block in blocks for area in coco_mask.area(block).tolist()]


def _boxes_around(keypoints: list[list]) -> list[list[float]]:
    if not keypoints:
        return []
    points = np.array(keypoints, dtype=np.float64).reshape(len(keypoints), -1, 3)[..., :2]
    corner = points.min(axis=1)
    return np.concatenate([corner, points.max(axis=1) - corner], axis=1).tolist()


def _with_boundaries(objects: list[dict], truth: Annotations) -> list[dict]:
    for found in objects:
        found["boundary"] = boundary_of(found["rle"], truth.sizes[found["image_id"]])
    return objects


def boundary_of(mask: dict, size: Size) -> dict:
    """Pixels of a mask whose distance to a pixel outside it (also outside the image) is at most the boundary's width.

    The distance is that of chess moves, and the width 2 % of the image's diagonal, rounded, at least 1 pixel, as in
    the paper's code (https://github.com/bowenc0221/boundary-iou-api, `mask_to_boundary`). faster-coco-eval rounds
    halves down, which gives another width in images such as 45 x 60, so its own boundaries are not used.

    Args:
        mask: Checked compressed RLE.
        size: (height, width) of the image.

    Returns:
        Compressed RLE.
    """
    counts = mask["counts"]
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    x, y, bitmap = crop_from_counts(counts_from_text(text), size)
    if not bitmap.size:
        return mask
    side = 2 * boundary_width(size) + 1
    inside = cv2.erode(np.pad(bitmap.view(np.uint8), 1), np.ones((side, side), np.uint8))[1:-1, 1:-1]
    return encode_crop(Crop(x, y, bitmap & ~inside.view(bool)), size)


def boundary_width(size: Size) -> int:
    """In pixels."""
    return max(1, round(WIDTH * math.sqrt(size[0] ** 2 + size[1] ** 2)))
