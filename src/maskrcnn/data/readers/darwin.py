"""Darwin JSON of V7 (https://docs.v7labs.com/reference/darwin-json), versions 1 and 2: a file for each image.

Polygons, boxes, ellipses and masks are objects, in pixels. A polygon of several paths is one object whose pixels are
those inside an odd number of them, as V7 draws them, so that a path within another is a hole. Masks are runs of
numbers, row by row, of one `__raster_layer__` for the whole image. Tags are left out; points and lines have no area.
The classes are the names of the objects of all splits, sorted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...ops.files import read_json
from ..dataset import Contents
from .coco_records import is_id
from .contents import Format, first_bytes
from .drawn_images import DrawnImage, DrawnObject, Size, corners, gather_files, member, numbers
from .polygons import bitmap_rle, ellipse_polygon, odd_even
from .split_files import image_files

RASTER = "raster_layer"


def is_darwin(path: Path, split: str) -> bool:
    """Whether a path is a file of V7, or a folder with some for a split."""
    return bool(image_files(path, split, ".json", _is_file))


def read_darwin(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of V7's files.

    Args:
        path: Folder of the JSON files, or one with `train/`, `val/` and so on; or one file.
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images; None: beside the files, or in `images/` beside or above them.

    Raises:
        DataError: Naming the file, the object, the value, the rule and the remedy.
    """
    return gather_files(path, split, images, tool="V7", is_file=_is_file, load=_load)


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    second = b'"item"' in begin and b'"slots"' in begin
    first = b'"image"' in begin and (b'"original_filename"' in begin or b'"workview_url"' in begin)
    return begin.lstrip().startswith(b"{") and (second or first)


def _load(file: Path) -> DrawnImage:
    content = read_json(file, expected="a JSON file of V7")
    annotations = member(content, "annotations", list, str(file))
    if "item" in content:
        item = member(content, "item", dict, str(file))
        name, size = item.get("name"), (member(item, "slots", list, str(file)) or [{}])[0]
    else:
        size = member(content, "image", dict, str(file))
        name = size.get("original_filename") or size.get("filename")
    known = is_id(size.get("height")) and is_id(size.get("width"))
    layer: dict[str, Any] = next((one[RASTER] for one in annotations if RASTER in one), {})
    drawn = [
        DrawnObject(member(one, "name", str, str(file)), partial(_fields, one, layer))
        for one in annotations
        if RASTER not in one and "tag" not in one
    ]
    return DrawnImage(str(file), str(name), (size["height"], size["width"]) if known else None, drawn)


def _fields(found: dict[str, Any], layer: dict[str, Any], size: Size) -> dict[str, Any]:
    if "polygon" in found:
        polygon = found["polygon"]
        paths = polygon.get("paths") or [polygon.get("path"), *(polygon.get("additional_paths") or [])]
        return {"segmentation": odd_even([corners(path) for path in paths], size)}
    if "ellipse" in found:
        ellipse = found["ellipse"]
        (x, y), (radius_x, radius_y) = (
            numbers(ellipse.get("center"), "x", "y"),
            numbers(ellipse.get("radius"), "x", "y"),
        )
        return {"segmentation": [ellipse_polygon(x, y, radius_x, radius_y, *numbers(ellipse, "angle"))]}
    if "mask" in found:
        return {"segmentation": _mask(layer, str(found.get("id")), size)}
    if "bounding_box" in found:
        return {"bbox": numbers(found["bounding_box"], "x", "y", "w", "h")}
    raise ValueError("it has no area; draw the object as a polygon, a box, an ellipse or a mask")


def _mask(layer: dict[str, Any], name: str, size: Size) -> dict[str, Any]:
    number, runs = layer.get("mask_annotation_ids_mapping", {}).get(name), layer.get("dense_rle")
    if not is_id(number) or not isinstance(runs, list) or len(runs) % 2 or not all(map(is_id, runs)):
        raise ValueError("its mask is not in the image's raster layer")
    values, lengths = np.array(runs[::2], dtype=np.int64), np.array(runs[1::2], dtype=np.int64)
    if (lengths < 0).any() or lengths.sum() != size[0] * size[1]:
        raise ValueError(
            f"the runs of `dense_rle` add up to {lengths.sum()} pixels, the image has {size[0]} x {size[1]}"
        )
    return bitmap_rle(np.repeat(values == number, lengths).reshape(size), 0, 0, size)


LAYOUT = "one JSON file per image, in one folder or in train/ and val/"
FORMAT = Format("darwin", "V7 Darwin", LAYOUT, is_darwin, read_darwin)
