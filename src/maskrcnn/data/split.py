"""A part of a data set held out, to judge a model by pictures it has not learnt from."""

from dataclasses import replace
from typing import Any

from numpy.random import default_rng

from ..errors import DataError
from .readers.coco import parse_coco
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

    Sizes and names that the file lacks are filled in.
    """
    contents = parse_coco(data.source)
    sizes = {record.image_id: record.size for record in data.records}
    images = [
        {**image, "height": sizes[image["id"]][0], "width": sizes[image["id"]][1]}
        for image in contents["images"]
        if image["id"] in sizes
    ]
    annotations = [
        found
        for place, found in enumerate(contents.get("annotations", []))
        if place not in data.skipped_places and found.get("image_id") in sizes
    ]
    categories = [
        {**category, "name": str(category.get("name", category["id"]))} for category in contents["categories"]
    ]
    return {**contents, "images": images, "annotations": annotations, "categories": categories}
