"""A part of a data set held out, to judge a model by pictures it has not learnt from."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.random import default_rng

from ..errors import DataError
from ..structures.masks import encode_crop
from .readers.coco_panoptic import is_panoptic
from .records import CocoData


def hold_out(data: CocoData, part: float, *, seed: int) -> tuple[CocoData, CocoData]:
    """Split a data set at random into pictures to learn from and pictures held out.

    Args:
        data: At least two pictures.
        part: Share of the pictures that is held out, rounded; at least one picture, and never all.
        seed: The same seed holds out the same pictures.

    Raises:
        DataError: There are too few pictures.
    """
    count = len(data.records)
    if count < 2:
        raise DataError(
            f"{data.source}: has {count} picture, but at least 2 are needed to hold one out for validation. "
            "Add pictures, or give validation data of its own."
        )
    held = min(count - 1, max(1, round(part * count)))
    chosen = set(default_rng(seed).permutation(count)[:held].tolist())
    learnt = [record for place, record in enumerate(data.records) if place not in chosen]
    return replace(data, records=learnt), replace(data, records=[data.records[place] for place in sorted(chosen)])


def subset_contents(data: CocoData) -> dict[str, Any]:
    """What `data` was read from, with the pictures of `data.records` and the objects that were not left out only.

    Sizes and names that the file lacks are filled in. Of a file in COCO's panoptic format, the things are listed as
    objects.
    """
    contents = data.contents()
    sizes = {record.image_id: record.size for record in data.records}
    images = [
        {**image, "height": sizes[image["id"]][0], "width": sizes[image["id"]][1]}
        for image in contents["images"]
        if image["id"] in sizes
    ]
    categories = [
        {**category, "name": str(category.get("name", category["id"]))}
        for category in contents["categories"]
        if category["id"] not in data.classes.stuff_ids
    ]
    if is_panoptic(contents):
        annotations = list(_list_objects(data))
    else:
        annotations = [
            found
            for place, found in enumerate(contents.get("annotations", []))
            if place not in data.skipped_places and found.get("image_id") in sizes
        ]
    return {**contents, "images": images, "annotations": annotations, "categories": categories}


def _list_objects(data: CocoData) -> Iterator[dict[str, Any]]:
    """The objects as COCO's annotations, masks as run lengths."""
    number = 0
    for record in data.records:
        objects = record.instances
        assert objects.masks is not None
        assert objects.crowd is not None
        columns = zip(objects.boxes.tolist(), objects.labels.tolist(), objects.crowd.tolist(), strict=True)
        for i, ((x1, y1, x2, y2), label, crowd) in enumerate(columns):
            number += 1
            crop = objects.masks.crop(i)
            yield {
                "id": number,
                "image_id": record.image_id,
                "category_id": data.classes.category_ids[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": int(crop.bitmap.sum()),
                "iscrowd": int(crowd),
                "segmentation": encode_crop(crop, record.size),
            }
