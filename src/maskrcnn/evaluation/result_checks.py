"""What a predicted COCO record must be: the rules for one, and for a thousand at a time, twenty times as fast."""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable, Sequence, Set
from itertools import chain
from typing import Any

import numpy as np

from ..structures.rle import all_fill
from .annotations import Annotations
from .keypoints import keypoints_problem
from .segmentations import rle

NUMBERS = {int, float}
FIELDS = ("bbox", "segmentation", "keypoints")
SHOWN = 100
"""Characters of a list of categories that fit into a message."""


def all_sound(records: Sequence[Any], annotations: Annotations) -> bool:
    """Whether predictions are certainly sound; about a thousand in a call are fastest.

    Args:
        records: COCO records.
        annotations: Their ground truth.

    Returns:
        False also where it takes a closer look to tell, such as at polygons.
    """
    try:
        return (
            _ids_sound(records, annotations)
            and _scores_sound([record["score"] for record in records])
            and _boxes_sound([record["bbox"] for record in records if record.get("bbox") is not None])
            and _masks_sound([record for record in records if record.get("segmentation") is not None], annotations)
            and _keypoints_sound([points for record in records if (points := record.get("keypoints"))], annotations)
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return False


def _ids_sound(records: Sequence[dict], annotations: Annotations) -> bool:
    return (
        {record["image_id"] for record in records} <= annotations.sizes.keys()
        and {record["category_id"] for record in records} <= annotations.categories.keys()
        and not any("polygons" in record for record in records)
        and all(any(record.get(field) is not None for field in FIELDS) for record in records)
    )


def _scores_sound(scores: list) -> bool:
    values = np.array(scores)
    return _types(scores) <= NUMBERS and bool(((values >= 0) & (values <= 1)).all())  # false for NaN


def _boxes_sound(boxes: list[list]) -> bool:
    if not set(map(len, boxes)) <= {4} or not _types(chain.from_iterable(boxes)) <= NUMBERS:
        return False
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return bool(np.isfinite(values).all() and (values[:, 2:] >= 0).all())


def _masks_sound(records: list[dict], annotations: Annotations) -> bool:
    masks, sizes = [record["segmentation"] for record in records], annotations.sizes
    wanted = [list(sizes[record["image_id"]]) for record in records]
    if [mask["size"] for mask in masks] != wanted:
        return False
    texts = [mask["counts"] for mask in masks]
    pixels = np.array(wanted, dtype=np.int64).reshape(-1, 2).prod(axis=1)
    return _types(texts) <= {str} and all_fill(texts, pixels)


def _keypoints_sound(keypoints: list[list], annotations: Annotations) -> bool:
    if not keypoints or annotations.keypoint_schema is None:
        return True
    if not set(map(len, keypoints)) <= {3 * len(annotations.keypoint_schema)} or not _types(keypoints) <= {list}:
        return False
    return _types(chain.from_iterable(keypoints)) <= NUMBERS and bool(np.isfinite(np.array(keypoints)).all())


def _types(values: Any) -> Set[type]:
    return set(map(type, values))


def problem_of(record: Any, annotations: Annotations) -> str | None:
    """What is wrong with a prediction, to follow its name; None if nothing is."""
    if not isinstance(record, dict) or not {"image_id", "category_id", "score"} <= record.keys():
        return f"{record!r:.60} lacks image_id, category_id or score"
    if not _listed(record["image_id"], annotations.sizes):
        return f"image_id {record['image_id']!r} is not among the {len(annotations.sizes)} images"
    if not _listed(record["category_id"], annotations.categories):
        known = f"{sorted(annotations.categories)!r}"
        known = known if len(known) <= SHOWN else f"the {len(annotations.categories)} categories"
        return f"category_id {record['category_id']!r} is not one of {known}"
    if not _finite(record["score"]) or not 0 <= record["score"] <= 1:
        return f"score {record['score']!r} must be a number from 0 to 1"
    if all(record.get(field) is None for field in FIELDS):
        return "it has neither a bbox nor a segmentation nor keypoints"
    return (
        _box_problem(record.get("bbox"))
        or _mask_problem(record, annotations)
        or keypoints_problem(record.get("keypoints"), annotations)
    )


def _box_problem(box: Any) -> str | None:
    known = box is None or (isinstance(box, Sequence) and len(box) == 4 and all(map(_finite, box)))
    if known and (box is None or (box[2] >= 0 and box[3] >= 0)):
        return None
    return f"bbox {box!r:.80} must be 4 finite numbers x, y, width, height with no negative side"


def _mask_problem(record: dict, annotations: Annotations) -> str | None:
    try:
        for field in ("segmentation", "polygons"):
            if record.get(field) is not None:
                rle(record[field], annotations.sizes[record["image_id"]])
    except ValueError as error:
        return str(error)
    return None


def _listed(value: Any, known: Collection[int]) -> bool:
    return isinstance(value, Hashable) and value in known


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max
