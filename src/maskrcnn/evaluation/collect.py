"""From a model's predictions on batches to the COCO results list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import DataError
from ..progress import counted
from ..structures.batch import Batch, Scales
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.masks import encode_crop, tight_crop
from ..structures.regions import find_regions
from .annotations import Annotations
from .results import Results, to_results

Seen = TypeVar("Seen", Batch, Scales)
Found = Instances | Mapping[str, Any]
"""Predictions of one image: `Instances` whose labels count the categories in the order of their ids, or what
torchvision's detectors give: `boxes` [N, 4] x1, y1, x2, y2, `labels` [N] category ids, `scores` [N], and if there are
any `masks` [N, H, W] or [N, 1, H, W] (bool, or probabilities that count from 0.5), as arrays or tensors."""


def collect_results(
    predict: Callable[[Seen], list[Instances]],
    batches: Iterable[Seen],
    classes: Classes,
    truth: Annotations,
    *,
    describe: Callable[[Instances, int, Classes], list[dict]] = to_results,
    on_progress: Callable[[int], None] | None = None,
) -> Results:
    """Predict every image of a dataset; masks become RLE one image at a time, so that memory stays small.

    Args:
        predict: The model: objects of each image of a batch, in the image's own pixels.
        batches: Images with their `image_ids`.
        classes: The dataset's classes.
        truth: Its images and categories, see `Results.parse`.
        describe: Makes COCO records of one image's predictions: `to_results` of objects, `to_segment_results` of
            segments.
        on_progress: Called after each batch with the number of images it held.

    Returns:
        The predictions in the order of the images.

    Raises:
        DataError: The model found what cannot be scored, such as a box that is not finite.
    """
    records: list[dict] = []
    for batch in batches:
        for instances, image_id in zip(predict(batch), batch.image_ids, strict=True):
            records += describe(instances, image_id, classes)
        if on_progress:
            on_progress(len(batch))
    return Results.parse(records, truth, source="predictions")


def collect_proposals(
    propose: Callable[[Batch], list[Instances]],
    batches: Iterable[Batch],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Instances]]:
    """Image id and proposals of each image, on the CPU, as they are found.

    Args:
        propose: The model: proposals of each image of a batch, in the image's own pixels.
        batches, on_progress: As for `collect_results`.
    """
    for batch in batches:
        for instances, image_id in zip(propose(batch), batch.image_ids, strict=True):
            yield image_id, instances.to("cpu")
        if on_progress:
            on_progress(len(batch))


def to_segment_results(instances: Instances, image_id: int, classes: Classes) -> list[dict]:
    """Turn the predicted segments of one image into COCO records.

    Args:
        instances: Predictions; of a model that finds no segments, its objects become the records.
        image_id: The dataset's id of the image.
        classes: Category ids of things and stuff.

    Returns:
        One dict per segment: image_id, category_id, score (1 for stuff), segmentation (RLE). Segments of one
        image do not overlap.
    """
    if instances.panoptic is None:
        return to_results(instances, image_id, classes)
    regions = {region.value: region for region in find_regions(instances.panoptic.map.cpu().numpy())}
    return [
        {
            "image_id": image_id,
            "category_id": (classes.category_ids if segment.is_thing else classes.stuff_ids)[segment.label],
            "score": 1.0 if segment.score is None else segment.score,
            "segmentation": regions[segment.id].rle(),
        }
        for segment in instances.panoptic.segments
    ]


def keep_segments(kept: list[dict]) -> Callable[[Instances, int, Classes], list[dict]]:
    """A `to_results` that also appends the records of `to_segment_results` to `kept`, for images with segments."""

    def describe(instances: Instances, image_id: int, classes: Classes) -> list[dict]:
        if instances.panoptic is not None:
            kept.extend(to_segment_results(instances, image_id, classes))
        return to_results(instances, image_id, classes)

    return describe


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
                f"results: there are predictions of {counted(len(predictions), 'image')}, but {truth.source} has "
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
