"""The labels of Cityscapes (Cordts et al. 2016; `labels.py` of https://github.com/mcordts/cityscapesScripts), and the
label maps of its `*_gtFine_instanceIds.png` files.

A pixel of such a map is label * 1000 + number where it belongs to one object, and below 1000 the label itself: stuff,
what is ignored, or a group of objects that were not separated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .regions import Region, find_regions

LABELS = dict(
    enumerate(
        (
            *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road"),
            *("sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel"),
            *("pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider"),
            *("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
        )
    )
)
"""Names by the official label id, which stands in annotations and results alike (not the train id)."""

THINGS = (24, 25, 26, 27, 28, 31, 32, 33)
STUFF = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23)
IGNORED = tuple(label for label in LABELS if label not in THINGS + STUFF)
"""Labels that no evaluation counts; caravans and trailers are among them."""

FIRST_OBJECT = 1000
"""The lowest value of a pixel of a single object."""

VALUES = FIRST_OBJECT * len(LABELS)
"""Above every value that a map holds."""


def label_of(value: int) -> int:
    """Label id of a pixel's value."""
    return value // FIRST_OBJECT if value >= FIRST_OBJECT else value


def is_group(region: Region) -> bool:
    """Whether a region is several things that were not separated."""
    return region.value < FIRST_OBJECT and region.value in THINGS


def to_segments(values: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A map in COCO's panoptic format, as the official `createPanopticImgs.py` makes it, with label ids.

    Args:
        values: [h, w] uint16 of an instanceIds file.

    Returns:
        [h, w] uint16 segment ids, 0 where the label is ignored; and the `segments_info`: id, category_id, area, bbox
        and iscrowd of each segment.
    """
    ids = values.copy()
    segments = []
    for region in find_regions(values):
        label = label_of(region.value)
        if label in IGNORED:
            ids[values == region.value] = 0
            continue
        segments.append(
            {
                "id": region.value,
                "category_id": label,
                "area": region.area,
                "bbox": list(region.box),
                "iscrowd": int(is_group(region)),
            }
        )
    return ids, segments
