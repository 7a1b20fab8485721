"""CVAT's XML "CVAT for images 1.1" (https://docs.cvat.ai/docs/other/xml_format): one file for all images.

Boxes (turned ones, too), polygons, ellipses and masks are objects; those of one label with the same `group_id` are one
object, and a skeleton in the group, or alone, gives its keypoints: `outside` points are not annotated,
`occluded` ones are hidden. Points are x, y in continuous pixels, angles in degrees, clockwise. The keypoints' numbers
are taken for COCO's, as CVAT's own export to COCO does. An attribute `is_crowd` that is true makes a crowd, as it does
there.

The classes are the labels of the task in its order. An export of a project tells the subset of each image: `train`,
`val` (`validation`) and `test` are splits.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ...errors import DataError
from ..dataset import Contents
from .coco_folders import SPLITS, canonical_split, split_names
from .contents import ContentsBuilder, Format, find_image, first_bytes, group_shapes, read_xml
from .polygons import bitmap_rle, ellipse_polygon, join_parts, rectangle_polygon

NO_OBJECTS = ("tag", "attribute")
SUBSET = re.compile(rb'<image [^>]*subset="([^"]*)"')
NUMBER = re.compile("[0-9]{1,9}")
REMEDY = 'Export the task again as "CVAT for images 1.1".'


def is_cvat(path: Path, split: str) -> bool:
    """Whether a path is an XML file of CVAT, or a folder with one that has a split."""
    file = _file(path, split)
    return file is not None and _is_file(file)


def is_part_of_cvat(path: Path, split: str) -> bool:
    """Whether an XML file has images of a split among those of others."""
    return path.is_file() and _is_file(path) and split in _subsets(path)


def read_cvat(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of an export of CVAT.

    Args:
        path: The XML file, or the folder it was unpacked to (`annotations.xml` beside `images/`), or a folder with
            one such folder per split.
        split: "train", "val" or "test": of a folder, or of a project with these subsets.
        images: Folder of the images; None: beside the file, or in `images/` there.

    Raises:
        DataError: Naming the file, the image, the shape, the value, the rule and the remedy.
    """
    file = _file(path, split)
    if file is None:
        raise DataError(f"{path}: holds no annotations.xml of CVAT for the split `{split}`. Give the XML file.")
    elements, labels = _load(file)
    if _subsets(file):
        elements = [image for image in elements if canonical_split(image.get("subset", "")) == split]
    keypoints = _keypoints_of(labels)
    described = {name: {"keypoints": parts} for name, parts in keypoints.items()}
    found = ContentsBuilder(_names(file, labels), file, images or file.parent, described)
    for image in sorted(elements, key=lambda image: image.get("name", "")):
        name = image.get("name", "")
        pixels = find_image(name, [images] if images else _folders(file, image.get("subset", "")))
        size = _size(image) or found.size_of(pixels)
        image_id = found.add_image(pixels, size, named_by=str(file))
        drawn = [shape for shape in image if shape.tag not in NO_OBJECTS]
        for number, label, shapes in group_shapes((shape.get("label", ""), _group(shape), shape) for shape in drawn):
            with found.skipping(f"{file}: {name}: shape {number + 1} ({shapes[0].tag}, {label})"):
                fields = _fields(shapes, size, keypoints.get(label, []))
                found.add_object(image_id, label, crowd=any(map(_is_crowd, shapes)), **fields)
    return found.contents()


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    return path.suffix == ".xml" and b"<annotations>" in begin and (b"<image " in begin or b"<meta>" in begin)


def _file(path: Path, split: str) -> Path | None:
    if path.is_file():
        return path if not _subsets(path) or split in _subsets(path) else None
    names = split_names(split)
    places = [path / name / "annotations.xml" for name in names]
    places += [path / folder / f"{name}.xml" for folder in ("", "annotations") for name in names]
    found = next((place for place in places if place.is_file()), None)
    whole = path / "annotations.xml"
    if found is None and whole.is_file() and split in (_subsets(whole) or {"train"}):
        return whole
    return found


def _subsets(file: Path) -> set[str]:
    """The splits that a file's images name; no XML is parsed, as the file may be large."""
    named = {canonical_split(found.decode("utf-8", "replace")) for found in SUBSET.findall(file.read_bytes())}
    return named & set(SPLITS)


def _load(file: Path) -> tuple[list[Element], list[Element]]:
    """The images of a file, and its labels."""
    root = read_xml(file, "XML of CVAT")
    images = root.findall("image")
    if root.find("track") is not None:
        raise DataError(f"{file}: has tracks of a video, not images. {REMEDY}")
    if root.tag != "annotations" or not images:
        raise DataError(f"{file}: has no <image> inside <annotations>. {REMEDY}")
    return images, root.findall("meta/*/labels/label")


def _names(file: Path, labels: list[Element]) -> list[str]:
    names = [_text(label, "name") for label in labels if not _text(label, "parent")]
    if not names:
        raise DataError(f"{file}: its <meta> lists no label, so there is no class. {REMEDY}")
    return list(dict.fromkeys(names))


def _keypoints_of(labels: list[Element]) -> dict[str, list[str]]:
    """Names of the points of each skeleton, in the order of the task."""
    parts: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        if _text(label, "parent"):
            parts[_text(label, "parent")].append(_text(label, "name"))
    return dict(parts)


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _folders(file: Path, subset: str) -> list[Path]:
    beside = file.parent
    roots = [beside / "images", beside, *([beside.parent / "images"] if beside.name == "annotations" else [])]
    return [*(root / subset for root in roots if subset), *roots]


def _size(image: Element) -> tuple[int, int] | None:
    width, height = image.get("width", ""), image.get("height", "")
    return (int(height), int(width)) if NUMBER.fullmatch(width) and NUMBER.fullmatch(height) else None


def _group(shape: Element) -> str | None:
    group = shape.get("group_id", "0")
    return None if group == "0" else group


def _is_crowd(shape: Element) -> bool:
    values = [
        (found.text or "").strip().lower() for found in shape.findall("attribute") if found.get("name") == "is_crowd"
    ]
    return any(value in ("true", "1") for value in values)


def _fields(shapes: list[Element], size: tuple[int, int], names: list[str]) -> dict[str, Any]:
    """COCO's entries of one object; a ValueError says what is wrong with it."""
    drawn = [shape for shape in shapes if shape.tag != "skeleton"]
    skeleton = next((shape for shape in shapes if shape.tag == "skeleton"), None)
    fields: dict[str, Any] = {}
    if skeleton is not None:
        fields = _keypoints(skeleton, names)
    if len(drawn) == 1 and drawn[0].tag == "box" and not _number(drawn[0], "rotation", "0"):
        x1, y1, x2, y2 = (_number(drawn[0], side) for side in ("xtl", "ytl", "xbr", "ybr"))
        fields["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    elif drawn:
        fields["segmentation"] = join_parts([_part(shape, size) for shape in drawn], size)
    else:
        fields["bbox"] = _surrounding(fields["keypoints"])
    return fields


def _part(shape: Element, size: tuple[int, int]) -> list[float] | dict[str, Any]:
    if shape.tag not in PARTS:
        raise ValueError(f"a {shape.tag} has no area; draw the object as a box, a polygon, an ellipse or a mask")
    return PARTS[shape.tag](shape, size)


def _box(shape: Element, size: tuple[int, int]) -> list[float]:
    x1, y1, x2, y2 = (_number(shape, side) for side in ("xtl", "ytl", "xbr", "ybr"))
    return rectangle_polygon(x1, y1, x2, y2, _number(shape, "rotation", "0"))


def _polygon(shape: Element, size: tuple[int, int]) -> list[float]:
    return [value for point in _points(shape) for value in point]


def _ellipse(shape: Element, size: tuple[int, int]) -> list[float]:
    x, y, radius_x, radius_y = (_number(shape, name) for name in ("cx", "cy", "rx", "ry"))
    return ellipse_polygon(x, y, radius_x, radius_y, math.radians(_number(shape, "rotation", "0")))


def _mask(shape: Element, size: tuple[int, int]) -> dict[str, Any]:
    """Runs of background and object in turn, row by row, in a window of the image."""
    left, top, width, height = (int(_number(shape, name)) for name in ("left", "top", "width", "height"))
    try:
        runs = [int(run) for run in shape.get("rle", "").split(",")]
    except ValueError:
        raise ValueError("`rle` must be whole numbers with commas") from None
    if not (0 <= left <= left + width <= size[1] and 0 <= top <= top + height <= size[0]):
        raise ValueError(f"the window of `rle` ({left}, {top}, {width} x {height}) lies outside the image")
    if min(runs) < 0 or sum(runs) != width * height:
        raise ValueError(f"the runs of `rle` add up to {sum(runs)} pixels, its window has {width} x {height}")
    bitmap = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    return bitmap_rle(bitmap, left, top, size)


PARTS: dict[str, Callable[[Element, tuple[int, int]], list[float] | dict[str, Any]]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}


def _keypoints(skeleton: Element, names: list[str]) -> dict[str, Any]:
    points = {point.get("label", ""): point for point in skeleton.findall("points")}
    unknown = sorted(set(points) - set(names))
    if unknown or not points:
        raise ValueError(f"its points are {', '.join(points) or 'none'}, but those of its label are {', '.join(names)}")
    found: list[float] = []
    for name in names:
        point = points.get(name)
        if point is None or point.get("outside") == "1":
            found += [0, 0, 0]
        else:
            found += [*_points(point)[0], 1 if point.get("occluded") == "1" else 2]
    return {"keypoints": found, "num_keypoints": sum(seen > 0 for seen in found[2::3])}


def _surrounding(keypoints: list[float]) -> list[float]:
    seen = np.array(keypoints, dtype=np.float64).reshape(-1, 3)
    seen = seen[seen[:, 2] > 0, :2]
    if not len(seen):
        raise ValueError("all points of the skeleton are outside the image")
    (x1, y1), (x2, y2) = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _points(shape: Element) -> list[tuple[float, float]]:
    text = shape.get("points", "")
    try:
        found = [tuple(float(value) for value in pair.split(",")) for pair in text.split(";")]
    except ValueError:
        found = [()]
    if any(len(pair) != 2 for pair in found):
        raise ValueError(f"`points` is {text!r:.60}, but must be pairs x,y with semicolons between them")
    return [(pair[0], pair[1]) for pair in found]


def _number(shape: Element, name: str, default: str = "") -> float:
    text = shape.get(name, default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"`{name}` is {text!r}, but must be a finite number")
    return value


FORMAT = Format("cvat", "CVAT for images", "annotations.xml beside images/", is_cvat, read_cvat, is_part_of_cvat)
