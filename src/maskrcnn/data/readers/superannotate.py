"""SuperAnnotate (https://doc.superannotate.com/docs/vector-json): a file for each image, of vector or pixel projects.

Vector: polygons with holes (`exclude`), boxes (turned ones, too) and ellipses are objects, in pixels; those of one
class and one `groupId` above 0 are one object. Pixel: `NAME___save.png` has the color of each part of an object.
Points, lines, cuboids and templates have no area. The classes are those of `classes/classes.json`, if it is there, then
the other names of all splits, sorted.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...ops.files import read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from ..images import read_pixels
from .coco_records import is_id
from .contents import Format, first_bytes, group_shapes
from .drawn_images import DrawnImage, DrawnObject, Size, box_between, corners, gather_files, member, numbers
from .polygons import bitmap_rle, ellipse_polygon, join_parts, odd_even
from .split_files import image_files

KIND = "a JSON file of SuperAnnotate"
PIXEL, COLORS = "___pixel.json", "___save.png"
CLASSES = ("classes/classes.json", "../classes/classes.json")


def is_superannotate(path: Path, split: str) -> bool:
    """Whether a path is a file of SuperAnnotate, or a folder with some for a split."""
    return bool(image_files(path, split, ".json", _is_file))


def read_superannotate(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of SuperAnnotate's files.

    Args:
        path: Folder of the JSON files, or one with `train/`, `val/` and so on; or one file.
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images; None: beside the files, or in `images/` beside or above them.

    Raises:
        DataError: Naming the file, the object, the value, the rule and the remedy.
    """
    return gather_files(path, split, images, tool="SuperAnnotate", is_file=_is_file, load=_load, listed=_listed_names)


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    return b'"metadata"' in begin and b'"instances"' in begin and begin.lstrip().startswith(b"{")


def _listed_names(folder: Path) -> list[str]:
    file = next((place for name in CLASSES if (place := folder / name).is_file()), None)
    listed = [] if file is None else read_json(file, expected="the classes of SuperAnnotate")
    return [member(one, "name", str, str(file)) for one in listed]


def _load(file: Path) -> DrawnImage:
    content = read_json(file, expected=KIND)
    known = member(content, "metadata", dict, str(file))
    size = known.get("height"), known.get("width")
    instances = member(content, "instances", list, str(file))
    named = [(member(one, "className", str, str(file)), one.get("groupId") or None, one) for one in instances]
    colors = file.with_name(file.name.replace(PIXEL, COLORS)) if file.name.endswith(PIXEL) else None
    drawn = [DrawnObject(name, partial(_fields, shapes, colors)) for _, name, shapes in group_shapes(named)]
    known_size = (size[0], size[1]) if is_id(size[0]) and is_id(size[1]) else None
    return DrawnImage(str(file), member(known, "name", str, str(file)), known_size, drawn)


def _fields(shapes: list[dict[str, Any]], colors: Path | None, size: Size) -> dict[str, Any]:
    if len(shapes) == 1 and shapes[0].get("type") == "bbox" and colors is None:
        return {"bbox": box_between(*numbers(shapes[0].get("points"), "x1", "y1", "x2", "y2"))}
    parts = [part for shape in shapes for part in _parts(shape, colors, size)]
    return {"segmentation": join_parts(parts, size)}


def _parts(shape: dict[str, Any], colors: Path | None, size: Size) -> list[list[float] | dict[str, Any]]:
    """Polygons or RLE of one shape."""
    points, kind = shape.get("points"), shape.get("type")
    if colors is not None:
        return [_painted(shape.get("parts") or [], colors, size)]
    if kind == "bbox":
        x1, y1, x2, y2 = numbers(points, "x1", "y1", "x2", "y2")
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]
    if kind == "rbbox" and isinstance(points, dict):
        return [numbers(points, "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")]
    if kind == "ellipse":
        x, y, radius_x, radius_y = numbers(shape, "cx", "cy", "rx", "ry")
        return [ellipse_polygon(x, y, radius_x, radius_y, math.radians(shape.get("angle") or 0))]
    if kind in ("polygon", "rbbox"):
        rings = [_ring(points), *map(_ring, shape.get("exclude") or [])]
        drawn = odd_even(rings, size)
        return [drawn] if isinstance(drawn, dict) else [*drawn]
    raise ValueError(f"a {kind} has no area; draw the object as a polygon, a box or an ellipse")


def _ring(points: Any) -> list[float]:
    """x, y, x, y, ... as they are in the file, or as pairs."""
    if isinstance(points, list) and points and all(map(is_number, points)) and len(points) % 2 == 0:
        return [float(value) for value in points]
    return corners(points)


def _painted(parts: list[dict[str, Any]], file: Path, size: Size) -> dict[str, Any]:
    try:
        wanted = [int(str(part["color"]).removeprefix("#"), 16) for part in parts]
    except ValueError:
        raise ValueError(f"a color of its parts is none: {parts!r:.60}") from None
    found = _color_numbers(file)
    if found.shape != size:
        raise DataError(f"{file}: has {found.shape[1]} x {found.shape[0]} pixels, its image {size[1]} x {size[0]}.")
    return bitmap_rle(np.isin(found, wanted), 0, 0, size)


@lru_cache(maxsize=1)  # all objects of an image are read one after the other
def _color_numbers(file: Path) -> np.ndarray:
    pixels = read_pixels(file, "RGB").astype(np.int32)
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


LAYOUT = "NAME.jpg___objects.json or NAME.jpg.json, or NAME.jpg___pixel.json and NAME.jpg___save.png, beside the images"
FORMAT = Format("superannotate", "SuperAnnotate", LAYOUT, is_superannotate, read_superannotate)
