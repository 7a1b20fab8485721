"""Datumaro (https://openvinotoolkit.github.io/datumaro): `annotations/train.json` beside `images/`.

Polygons, boxes, masks and ellipses are objects, in pixels; those of one label and one `group` above 0 are one object,
and boxes in such a group do not count beside its polygons and masks. The attribute `is_crowd` makes a crowd. Labels of
whole images are no objects; points, lines and captions cannot be used. The classes are those that the file lists.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...ops.files import read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from .coco_records import is_id
from .contents import Format, first_bytes, group_shapes
from .drawn_images import DrawnImage, DrawnObject, Size, gather, member, with_ending
from .polygons import ellipse_polygon, join_parts
from .split_files import find_split_file

KIND = "a JSON file of Datumaro"


def is_datumaro(path: Path, split: str) -> bool:
    """Whether a path is a file of Datumaro, or a folder with one for a split."""
    return find_split_file(path, split, ".json", _is_file) is not None


def read_datumaro(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of a dataset of Datumaro.

    Args:
        path: The JSON file, or the dataset's folder.
        split: "train", "val" or "test".
        images: Folder of the images; None: `images/` beside the folder of the file, or the one of the split in it.

    Raises:
        DataError: Naming the file, the item, the value, the rule and the remedy.
    """
    file = find_split_file(path, split, ".json", _is_file)
    if file is None:
        raise DataError(f"{path}: holds no JSON file of Datumaro for the split `{split}`. Give the file.")
    content = read_json(file, expected=KIND)
    labels = member(
        member(member(content, "categories", dict, str(file)), "label", dict, str(file)), "labels", list, str(file)
    )
    names = [member(one, "name", str, str(file)) for one in labels]
    roots = [file.parent.parent / "images", file.parent / "images", file.parent.parent, file.parent]
    folders = [images] if images else [place for root in roots for place in (root, root / file.stem)]
    items = member(content, "items", list, str(file))
    return gather(file, [_image(item, names, folders, file) for item in items], names, folders)


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    known = b'"infos"' in begin or b'"dm_format_version"' in begin
    return begin.lstrip().startswith(b"{") and known and b'"categories"' in begin


def _image(item: Any, names: list[str], folders: list[Path], file: Path) -> DrawnImage:
    name = member(item, "id", str, str(file))
    where = f"{file}: item {name}"
    media = item.get("image") or item.get("media") or {}
    size = media.get("size") or [None, None]
    drawn = [one for one in member(item, "annotations", list, where) if one.get("type") not in ("label", "caption")]
    named = [(_label(one, names), one.get("group") or None, one) for one in drawn]
    objects = [
        DrawnObject(label, partial(_fields, shapes), any(map(_is_crowd, shapes)))
        for _, label, shapes in group_shapes(named)
    ]
    path = media.get("path") or with_ending(name, folders)
    known = len(size) == 2 and all(map(is_id, size))
    return DrawnImage(where, path, (size[0], size[1]) if known else None, objects)


def _is_crowd(annotation: dict[str, Any]) -> bool:
    return bool((annotation.get("attributes") or {}).get("is_crowd"))


def _label(annotation: dict[str, Any], names: list[str]) -> str:
    number = annotation.get("label_id")
    return names[number] if is_id(number) and 0 <= number < len(names) else f"label {number}"


def _fields(shapes: list[dict[str, Any]], size: Size) -> dict[str, Any]:
    boxes = [shape for shape in shapes if shape.get("type") == "bbox"]
    others = [shape for shape in shapes if shape.get("type") != "bbox"]
    if others:
        return {"segmentation": join_parts([_part(shape) for shape in others], size)}
    if len(boxes) > 1:
        raise ValueError(f"its group has {len(boxes)} boxes, but an object has one")
    return {"bbox": _numbers(boxes[0], "bbox", 4)}


def _part(shape: dict[str, Any]) -> list[float] | dict[str, Any]:
    kind = shape.get("type")
    if kind == "polygon":
        return _numbers(shape, "points", None)
    if kind == "mask":
        return dict(shape.get("rle") or {})
    if kind == "ellipse":
        x1, y1, x2, y2 = _numbers(shape, "points", 4)
        return ellipse_polygon((x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1) / 2, abs(y2 - y1) / 2)
    raise ValueError(f"a {kind} has no area; draw the object as a polygon, a box, an ellipse or a mask")


def _numbers(shape: dict[str, Any], name: str, count: int | None) -> list[float]:
    values = shape.get(name)
    if not isinstance(values, list) or not all(map(is_number, values)):
        raise ValueError(f"`{name}` is {values!r:.60}, but must be finite numbers")
    if len(values) != (count or len(values)):
        raise ValueError(f"`{name}` has {len(values)} numbers, but must have {count}")
    return [float(value) for value in values]


FORMAT = Format("datumaro", "Datumaro", "annotations/train.json and images/train/", is_datumaro, read_datumaro)
