"""Create ML (https://developer.apple.com/documentation/createml): a JSON file with boxes by their middle, in pixels.

The classes are the labels of all splits, sorted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...ops.files import read_json
from ..dataset import Contents
from .contents import Format, first_bytes
from .drawn_images import DrawnImage, DrawnObject, Size, gather, member, numbers, used_labels
from .split_files import find_split_file, split_files


def is_createml(path: Path, split: str) -> bool:
    """Whether a path is a file of Create ML, or a folder with one for a split."""
    return find_split_file(path, split, ".json", _is_file) is not None


def read_createml(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of a dataset of Create ML.

    Args:
        path: The JSON file, or a folder with one, or one per split.
        split: "train", "val" or "test".
        images: Folder of the images; None: beside the file, or in `images/` there.

    Raises:
        DataError: Naming the file, the image, the value, the rule and the remedy.
    """
    file = find_split_file(path, split, ".json", _is_file)
    if file is None:
        raise DataError(f"{path}: holds no JSON file of Create ML for the split `{split}`. Give the file.")
    own = _load(file)
    others = [one for other in split_files(path, ".json", _is_file) if other != file for one in _load(other)]
    folders = [images] if images else [file.parent, file.parent / "images"]
    return gather(file, own, used_labels([*own, *others], path), folders)


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    return begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and b'"coordinates"' in begin


def _load(file: Path) -> list[DrawnImage]:
    content = read_json(file, expected="a JSON file of Create ML")
    if not isinstance(content, list):
        raise DataError(f"{file}: must be a list of images. Export it again.")
    return [_image(one, f"{file}: image {number}") for number, one in enumerate(content, start=1)]


def _image(one: Any, where: str) -> DrawnImage:
    name = "imagefilename" if isinstance(one, dict) and "imagefilename" in one else "image"
    key = "annotation" if isinstance(one, dict) and "annotation" in one else "annotations"
    objects = [
        DrawnObject(member(found, "label", str, where), partial(_fields, found.get("coordinates")))
        for found in member(one, key, list, where)
    ]
    return DrawnImage(where, member(one, name, str, where), None, objects)


def _fields(box: Any, size: Size) -> dict[str, Any]:
    x, y, width, height = numbers(box, "x", "y", "width", "height")
    return {"bbox": [x - width / 2, y - height / 2, width, height]}


LAYOUT = "one JSON file beside the images, or one per split"
FORMAT = Format("createml", "Create ML", LAYOUT, is_createml, read_createml)
