"""Supervisely (https://developer.supervisely.com/getting-started/supervisely-annotation-format): a project of datasets.

`meta.json` names the classes; each dataset has `img/` and `ann/` with a JSON file `NAME.jpg.json` for each image.
Polygons with holes, rectangles and bitmaps are objects, in pixels; points, lines and cuboids have no area. A bitmap is
a PNG, packed with zlib, in base64, whose first pixel is at `origin`; transparent pixels do not count. Datasets called
train, val (validation) and test are splits; of a project without these, all are "train".
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...errors import DataError
from ...ops.files import read_json
from ..dataset import Contents
from .coco_folders import SPLITS, split_names
from .coco_records import is_id
from .contents import Format, first_bytes
from .drawn_images import DrawnImage, DrawnObject, Size, box_between, corners, gather, member, used_labels
from .polygons import bitmap_rle, odd_even

META = "meta.json"
TRIED = 5
MOST_BYTES = 2**26
"""Of an unpacked PNG file with one bit for each pixel."""


def is_supervisely(path: Path, split: str) -> bool:
    """Whether a folder is a project or dataset of Supervisely with files for a split."""
    return bool(_files(path, split))


def read_supervisely(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of a project of Supervisely.

    Args:
        path: The project's folder, or a dataset's.
        split: "train", "val" or "test"; a project without splits is "train".
        images: Folder of the images; None: `img/` of each dataset.

    Raises:
        DataError: Naming the file, the object, the value, the rule and the remedy.
    """
    files = _files(path, split)
    if not files:
        raise DataError(f"{path}: holds no `ann/` of Supervisely for the split `{split}`. Give the project's folder.")
    own = [_load(file, path) for file in files]
    others = [_load(file, path) for other in SPLITS if other != split for file in _files(path, other)]
    meta = next((place for place in (path / META, path.parent / META) if place.is_file()), None)
    content = read_json(meta, expected="the classes of Supervisely") if meta else {"classes": []}
    listed = [member(one, "title", str, str(meta)) for one in member(content, "classes", list, str(meta))]
    names = list(dict.fromkeys([*listed, *(used_labels([*own, *others], path) if not listed else [])]))
    return gather(path, own, names, [images or path])


def _files(path: Path, split: str) -> list[Path]:
    if not path.is_dir():
        return []
    folders = [place for name in split_names(split) if (place := path / name / "ann").is_dir()]
    known = {name for names in SPLITS.values() for name in names}
    if not folders and split == "train":
        folders = [place for place in [path / "ann", *sorted(path.glob("*/ann"))] if place.parent.name not in known]
    found = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    return found if any(map(_is_file, found[:TRIED])) else []


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    return b'"objects"' in begin and b'"size"' in begin and (b'"classTitle"' in begin or b'"tags"' in begin)


def _load(file: Path, root: Path) -> DrawnImage:
    content = read_json(file, expected="a JSON file of Supervisely")
    size = member(content, "size", dict, str(file))
    known = is_id(size.get("height")) and is_id(size.get("width"))
    image = os.path.relpath(file.parent.parent / "img" / file.stem, root)
    drawn = [
        DrawnObject(member(one, "classTitle", str, str(file)), partial(_fields, one))
        for one in member(content, "objects", list, str(file))
    ]
    return DrawnImage(str(file), image, (size["height"], size["width"]) if known else None, drawn)


def _fields(found: dict[str, Any], size: Size) -> dict[str, Any]:
    kind, points = found.get("geometryType"), found.get("points") or {}
    if kind == "bitmap":
        return {"segmentation": _bitmap(found.get("bitmap") or {}, size)}
    if kind == "rectangle":
        sides = corners(points.get("exterior"))
        if len(sides) != 4:
            raise ValueError(f"a rectangle has 2 corners, this one {len(sides) // 2}")
        return {"bbox": box_between(*sides)}
    if kind == "polygon":
        rings = [corners(points.get("exterior")), *map(corners, points.get("interior") or [])]
        return {"segmentation": odd_even(rings, size)}
    raise ValueError(f"a {kind} has no area; draw the object as a polygon, a rectangle or a bitmap")


def _bitmap(found: dict[str, Any], size: Size) -> dict[str, Any]:
    origin = found.get("origin")
    if not isinstance(origin, list) or len(origin) != 2 or not all(map(is_id, origin)):
        raise ValueError(f"`origin` is {origin!r:.40}, but must be a column and a row")
    try:
        unpacked = zlib.decompressobj().decompress(base64.b64decode(str(found.get("data"))), MOST_BYTES)
        with Image.open(io.BytesIO(unpacked), formats=["PNG"]) as image:
            if image.width > size[1] or image.height > size[0]:
                raise ValueError(f"its bitmap of {image.width} x {image.height} pixels is larger than its image")
            shown = np.asarray(image.convert("RGBA").getchannel("A") if image.has_transparency_data else image)
    except (binascii.Error, zlib.error, OSError, SyntaxError) as error:
        raise ValueError(f"its bitmap is no packed PNG in base64 ({error})") from None
    if shown.ndim != 2:
        raise ValueError("its bitmap has colors, but no transparent pixels")
    return bitmap_rle(shown, origin[0], origin[1], size)


LAYOUT = "meta.json, and for each dataset img/NAME.jpg and ann/NAME.jpg.json"
FORMAT = Format("supervisely", "Supervisely", LAYOUT, is_supervisely, read_supervisely)
