"""Predictions that another program holds in memory, image by image, as COCO records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.masks import encode_crop, tight_crop
from .annotations import Annotations
from .results import to_results

Found = Instances | Mapping[str, Any]
"""Predictions of one image: `Instances` whose labels count the categories in the order of their ids, or what
torchvision's detectors give: `boxes` [N, 4] x1, y1, x2, y2, `labels` [N] category ids, `scores` [N], and if there are
any `masks` [N, H, W] or [N, 1, H, W] (bool, or probabilities that count from 0.5), as arrays or tensors."""


def records_of(predictions: Mapping[int, Found] | Sequence[Found], truth: Annotations) -> list[dict]:
    """COCO records of predictions in memory.

    Args:
        predictions: By image id, or one for each image of the dataset in its order.
        truth: The dataset.

    Raises:
        DataError: There is not one for each image, or one lacks boxes, labels or scores.
    """
    if not isinstance(predictions, Mapping):
        if len(predictions) != len(truth.sizes):
            raise DataError(
                f"results: there are predictions of {len(predictions)} images, but {truth.source} has "
                f"{len(truth.sizes)}. Give one for each, in their order, or give them by image id."
            )
        predictions = dict(zip(truth.sizes, predictions, strict=True))
    ids = tuple(sorted(truth.categories))
    classes = Classes(tuple(truth.categories[one] for one in ids), ids, keypoint_schema=truth.keypoint_schema)
    records: list[dict] = []
    for image_id, found in predictions.items():
        records += to_results(found, image_id, classes) if isinstance(found, Instances) else _of_arrays(image_id, found)
    return records


def is_by_image(results: Iterable[Any]) -> bool:
    """Whether results are predictions image by image rather than COCO records."""
    first = next(iter(results.values() if isinstance(results, Mapping) else results), None)
    return isinstance(first, Instances) or (isinstance(first, Mapping) and "boxes" in first)


def _of_arrays(image_id: int, found: Mapping[str, Any]) -> list[dict]:
    try:
        boxes = _array(found["boxes"]).astype(float).reshape(-1, 4)
        columns = zip(_array(found["labels"]).tolist(), _array(found["scores"]).tolist(), boxes.tolist(), strict=True)
        records: list[dict] = [
            {"image_id": image_id, "category_id": label, "score": score, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for label, score, (x1, y1, x2, y2) in columns
        ]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"results: image {image_id}: its predictions need boxes [N, 4], labels [N] and scores [N] ({error}). "
            "Give all three."
        ) from error
    if found.get("masks") is not None:
        masks = _array(found["masks"])
        masks = masks if masks.dtype == bool else masks >= 0.5
        for record, mask in zip(records, masks, strict=True):
            bitmap = mask.reshape(mask.shape[-2:])
            record["segmentation"] = encode_crop(tight_crop(0, 0, bitmap), bitmap.shape)
    return records


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
