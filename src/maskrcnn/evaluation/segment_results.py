"""Predicted segments as COCO results, one record for each."""

from __future__ import annotations

from collections.abc import Callable

from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.regions import find_regions
from .results import to_results


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
