"""Labelbox (https://docs.labelbox.com/reference/export-image-annotations): NDJSON, a line for each image.

Polygons and boxes of all labels of a data row are objects, in pixels. Masks are addresses on Labelbox's servers and
cannot be used: convert them to polygons there, or export to COCO. Points and lines have no area. Rows that nobody has
labelled are left out. The classes are the names of the objects of all splits, sorted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import DataError
from ...ops.files import parse_json
from ..dataset import Contents
from .coco_records import is_id
from .contents import Format, first_bytes, read_text
from .drawn_images import DrawnImage, DrawnObject, Size, corners, gather, member, numbers, used_labels
from .split_files import find_split_file, split_files

ENDING = ".ndjson"


def is_labelbox(path: Path, split: str) -> bool:
    """Whether a path is an export of Labelbox, or a folder with one for a split."""
    return find_split_file(path, split, ENDING, _is_file) is not None


def read_labelbox(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of Labelbox's files.

    Args:
        path: The NDJSON file, or a folder with one, or one per split.
        split: "train", "val" or "test".
        images: Folder of the images; None: beside the file, or in `images/` there.

    Raises:
        DataError: Naming the file, the line, the value, the rule and the remedy.
    """
    file = find_split_file(path, split, ENDING, _is_file)
    if file is None:
        raise DataError(f"{path}: holds no export of Labelbox for the split `{split}`. Give the NDJSON file.")
    own = _load(file)
    others = [one for other in split_files(path, ENDING, _is_file) if other != file for one in _load(other)]
    folders = [images] if images else [file.parent / "images", file.parent]
    return gather(file, own, used_labels([*own, *others], path), folders)


def _is_file(path: Path) -> bool:
    return b'"data_row"' in first_bytes(path)


def _load(file: Path) -> list[DrawnImage]:
    lines = enumerate(read_text(file, "an export of Labelbox").splitlines(), start=1)
    rows = [(f"{file}: line {number}", line) for number, line in lines if line.strip()]
    found = [_image(parse_json(line, where), where) for where, line in rows]
    return [image for image in found if image is not None]


def _image(row: Any, where: str) -> DrawnImage | None:
    """A row with its objects; None: nobody has labelled it."""
    data = member(row, "data_row", dict, where)
    labels = [label for project in row.get("projects", {}).values() for label in project.get("labels", [])]
    if not labels:
        return None
    name = data.get("external_id") or unquote(Path(urlsplit(str(data.get("row_data", ""))).path).name)
    size = row.get("media_attributes", {})
    height, width = size.get("height"), size.get("width")
    objects = [one for label in labels for one in label.get("annotations", {}).get("objects", [])]
    drawn = [DrawnObject(member(one, "name", str, where), partial(_fields, one)) for one in objects]
    return DrawnImage(where, str(name), (height, width) if is_id(height) and is_id(width) else None, drawn)


def _fields(found: dict[str, Any], size: Size) -> dict[str, Any]:
    if "bounding_box" in found:
        x, y, width, height = numbers(found["bounding_box"], "left", "top", "width", "height")
        return {"bbox": [x, y, width, height]}
    if "polygon" in found:
        return {"segmentation": [corners(found["polygon"])]}
    kind = found.get("annotation_kind", "?")
    raise ValueError(f"a {kind} has no area in the file. Draw it as a polygon or a box, or export masks to COCO")


FORMAT = Format("labelbox", "Labelbox", "one NDJSON export beside images/", is_labelbox, read_labelbox)
