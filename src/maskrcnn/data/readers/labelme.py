"""LabelMe (https://github.com/wkentaro/labelme): a JSON file with shapes beside each image.

Polygons, rectangles (turned ones, too), circles and masks are objects; those of one label with the same `group_id` are
one object. Points are x, y in continuous pixels. A mask is a PNG in base64 whose first pixel is at `points[0]`.
`imageData`, the image itself in the file, is not read. A shape with the flag `crowd` or `iscrowd` is a crowd.

The classes are the labels of all splits, sorted; a `labels.txt` in the dataset's folder, as LabelMe's own tools take
it, gives their order instead. Shapes called `__ignore__` and `_background_` are no objects, as with these tools.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...ops.files import read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from ..images import read_pixels
from .coco_folders import SPLITS, split_names
from .coco_records import is_id
from .contents import ContentsBuilder, Format, find_image, first_bytes, group_shapes, read_text
from .polygons import bitmap_rle, ellipse_polygon, join_parts, rectangle_polygon

LABELS = "labels.txt"
NO_CLASS = ("__ignore__", "_background_")
KIND = "a JSON file of LabelMe"
TRIED = 5
"""How many files of a folder are looked into before it is taken for another format's."""
INSIDE = ("", "annotations", "labels", "json", "images")
"""Folders in which those of the splits may lie, or which hold the files of a set without splits."""


class _Shape(NamedTuple):
    """One shape of a file: its polygon or RLE, and whether it is an upright rectangle."""

    part: list[float] | dict[str, Any]
    box: list[float] | None


def is_labelme(path: Path, split: str) -> bool:
    """Whether a path is a JSON file of LabelMe, or a folder with some for a split."""
    if path.is_file():
        return _is_file(path)
    return bool(_files(path, split))


def read_labelme(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of LabelMe's files.

    Args:
        path: Folder of the JSON files, or one with `train/`, `val/` and so on; or one file.
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images; None: as each file's `imagePath` says, from the file's folder.

    Raises:
        DataError: Naming the file, the shape, the value, the rule and the remedy.
    """
    files = [path] if path.is_file() else _files(path, split)
    if not files:
        raise DataError(f"{path}: holds no JSON file of LabelMe for the split `{split}`. Check the folder.")
    root = path.parent if path.is_file() else path
    loaded = {file: _load(file) for file in files}
    listed = root / LABELS
    names = _listed_names(listed) if listed.is_file() else _used_names(path, loaded)
    found = ContentsBuilder(names, path, images or root)
    for file, content in loaded.items():
        image = _image(file, content, images)
        size = _size(content) or found.size_of(image)
        image_id = found.add_image(image, size, named_by=str(file))
        drawn = ((shape["label"], shape.get("group_id"), shape) for shape in content["shapes"])
        for number, name, shapes in group_shapes(drawn):
            if name in NO_CLASS:
                continue
            with found.skipping(f"{file}: shape {number} ({name})"):
                fields = _fields([_shape(shape, size) for shape in shapes], size)
                found.add_object(image_id, name, crowd=any(map(_is_crowd, shapes)), **fields)
    return found.contents()


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    return path.suffix == ".json" and b'"shapes"' in begin and (b'"flags"' in begin or b'"imagePath"' in begin)


def _files(folder: Path, split: str) -> list[Path]:
    """The JSON files of a split, from the first folder that has some."""
    places = [folder / inside / name for name in split_names(split) for inside in INSIDE]
    places += [folder / name / inside for name in split_names(split) for inside in INSIDE]
    if split == "train":
        places += [folder / inside for inside in INSIDE]
    for place in places:
        found = sorted(place.glob("*.json"))
        if any(map(_is_file, found[:TRIED])):
            return found
    return []


def _load(file: Path) -> dict[str, Any]:
    content = read_json(file, expected=KIND)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not isinstance(content.get("imagePath"), str):
        raise DataError(f"{file}: has no list `shapes` or no `imagePath`, as a file of LabelMe has. Take it out.")
    for number, shape in enumerate(shapes):
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            raise DataError(f"{file}: shape {number}: `label` must be a text. Correct the file.")
    content.pop("imageData", None)
    return content


def _listed_names(file: Path) -> list[str]:
    lines = [line.strip() for line in read_text(file, "a list of labels").splitlines()]
    return [name for name in dict.fromkeys(lines) if name and name not in NO_CLASS]


def _used_names(path: Path, loaded: dict[Path, dict[str, Any]]) -> list[str]:
    """Labels of all splits, so that a class that one of them lacks has the same number in each."""
    contents = list(loaded.values())
    if path.is_dir():
        others = {file for split in SPLITS for file in _files(path, split)} - set(loaded)
        contents += [_load(file) for file in sorted(others)]
    names = {shape["label"] for content in contents for shape in content["shapes"]}
    if not names - set(NO_CLASS):
        raise DataError(f"{path}: no file has a shape with a label, so there is no class. Name them in a {LABELS}.")
    return sorted(names - set(NO_CLASS))


def _image(file: Path, content: dict[str, Any], images: Path | None) -> Path:
    near = [file.parent, file.parent.parent / "images", file.parent.parent.parent / "images" / file.parent.name]
    return find_image(content["imagePath"], [images] if images else near)


def _size(content: dict[str, Any]) -> tuple[int, int] | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (height, width) if is_id(height) and is_id(width) else None


def _is_crowd(shape: dict[str, Any]) -> bool:
    flags = shape.get("flags")
    return isinstance(flags, dict) and bool(flags.get("crowd") or flags.get("iscrowd"))


def _fields(shapes: list[_Shape], size: tuple[int, int]) -> dict[str, Any]:
    if len(shapes) == 1 and shapes[0].box is not None:
        return {"bbox": shapes[0].box}
    return {"segmentation": join_parts([shape.part for shape in shapes], size)}


def _shape(shape: dict[str, Any], size: tuple[int, int]) -> _Shape:
    """One shape; a ValueError says what is wrong with it."""
    kind, points = shape.get("shape_type") or "polygon", _points(shape.get("points"))
    if kind == "rectangle" and len(points) == 2:
        (x1, x2), (y1, y2) = (sorted(values) for values in zip(*points, strict=True))
        return _Shape(rectangle_polygon(x1, y1, x2, y2), [x1, y1, x2 - x1, y2 - y1])
    if kind == "circle" and len(points) == 2:
        (x, y), (edge_x, edge_y) = points
        radius = float(np.hypot(edge_x - x, edge_y - y))
        return _Shape(ellipse_polygon(x, y, radius, radius), None)
    if kind == "mask" and len(points) == 2:
        return _Shape(_mask(shape.get("mask"), points, size), None)
    if kind in ("polygon", "rectangle", "oriented_rectangle") and len(points) > 2:
        return _Shape([value for point in points for value in point], None)
    if kind in ("polygon", "rectangle", "oriented_rectangle", "circle", "mask"):
        raise ValueError(f"a {kind} with {len(points)} points has no area")
    raise ValueError(f"a {kind} has no area; draw the object as a polygon, a rectangle, a circle or a mask")


def _points(points: object) -> list[list[float]]:
    rule = "`points` must be a list of pairs of finite numbers x, y"
    if not isinstance(points, list):
        raise ValueError(rule)
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(map(is_number, point)):
            raise ValueError(f"{rule}, but one is {point!r}")
    return points


def _mask(text: object, points: list[list[float]], size: tuple[int, int]) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ValueError("a mask needs its pixels, a PNG in base64, as `mask`")
    try:
        bitmap = read_pixels(io.BytesIO(base64.b64decode(text, validate=True)), name="mask")
    except (binascii.Error, DataError) as error:
        raise ValueError(f"`mask` is no PNG in base64 ({error})") from None
    (x1, y1), (x2, y2) = ([int(value) for value in point] for point in points)
    if bitmap.ndim != 2 or bitmap.shape != (y2 - y1 + 1, x2 - x1 + 1):
        rule = f"its points span {x2 - x1 + 1} x {y2 - y1 + 1}"
        raise ValueError(f"`mask` has {' x '.join(map(str, bitmap.shape[1::-1]))} pixels, but {rule}")
    return bitmap_rle(bitmap, x1, y1, size)


FORMAT = Format(
    "labelme", "LabelMe", "one JSON file beside each image, or train/ and val/ of them", is_labelme, read_labelme
)
