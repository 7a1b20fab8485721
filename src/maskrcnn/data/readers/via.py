"""VGG Image Annotator, VIA 1 and 2 (https://www.robots.ox.ac.uk/~vgg/software/via/): one JSON or CSV file.

A project (`_via_img_metadata`), the annotations exported as JSON, and those exported as CSV are read. Rectangles,
polygons, circles, ellipses and closed polylines are objects, points in continuous pixels, angles in radians, clockwise.
The class is the value of one attribute of the regions: of the only one there is, or else of the one called `class`,
`label`, `name`, `type`, `category` or `object`, of those with options first; without any attribute all regions are of
one class, `object`. A region with the attribute `iscrowd` set to 1 or true is a crowd.

The classes are the options of that attribute in the project's order, by their ids, or by their descriptions where the
ids are numbers; without options they are the values in all splits, sorted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ...ops.files import parse_json, read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from .coco_folders import SPLITS, split_names
from .contents import ContentsBuilder, Format, find_image, first_bytes, read_text
from .polygons import ellipse_polygon

CLASS_WORDS = ("class", "label", "name", "type", "category", "object")
CROWD = "iscrowd"
ONLY_CLASS = "object"
MARKS = (b'"_via_img_metadata"', b'"_via_settings"', b'"shape_attributes"', b'"file_attributes"')
KIND = "annotations of VIA"
COLUMNS = ("filename", "region_shape_attributes", "region_attributes")


class _File(NamedTuple):
    """What is in an annotation file.

    Args:
        regions: Of each image, by its file name.
        options: Names of the values of each attribute of regions, as far as the file lists them.
        folder: Where the project has its images.
    """

    regions: dict[str, list[dict[str, Any]]]
    options: dict[str, dict[str, str]]
    folder: str = ""


def is_via(path: Path, split: str) -> bool:
    """Whether a path is a file of VIA, or a folder that holds one of a split."""
    return _is_file(path) if path.is_file() else _find(path, split) is not None


def read_via(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split that was annotated with VIA.

    Args:
        path: The JSON or CSV file; or its folder, with a file in `train/`, `val/` and so on, or one that is named after
            its split.
        split: "train", "val" or "test"; the only file of a folder is "train".
        images: Folder of the images; None: the file's own, or `images/` there.

    Raises:
        DataError: Naming the file, the image, the region, the value, the rule and the remedy.
    """
    file = path if path.is_file() else _find(path, split)
    if file is None:
        raise DataError(f"{path}: holds no file of VIA for the split `{split}`. Give the JSON or CSV file.")
    content = _load(file)
    others = [] if path.is_file() else [_load(other) for other in _others(path, file)]
    attribute = _class_attribute(file, [content, *others])
    found = ContentsBuilder(_names(file, attribute, [content, *others]), file, images or file.parent)
    beside = [file.parent, file.parent / "images", file.parent / content.folder, file.parent.parent / "images"]
    for name, regions in sorted(content.regions.items()):
        image = find_image(name, [images] if images else beside)
        image_id = found.add_image(image, found.size_of(image))
        for number, region in enumerate(regions):
            with found.skipping(f"{file}: {name}: region {number}"):
                fields = _shape(region.get("shape_attributes"))
                label = _class_of(region, attribute, content)
                found.add_object(image_id, label, crowd=_is_crowd(region), **fields)
    return found.contents()


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    if path.suffix.lower() == ".csv":
        return all(column.encode() in begin.split(b"\n")[0] for column in COLUMNS)
    return path.suffix.lower() == ".json" and any(mark in begin for mark in MARKS)


def _find(folder: Path, split: str) -> Path | None:
    names = split_names(split)
    patterns = [f"{name}/*" for name in names] + [
        f"{inside}*{name}*" for inside in ("", "annotations/") for name in names
    ]
    found = next((path for pattern in patterns for path in _matching(folder, pattern)), None)
    if found is None and split == "train":
        whole = [path for pattern in ("*", "annotations/*") for path in _matching(folder, pattern)]
        return next((path for path in whole if not _split_named(path)), None)
    return found


def _matching(folder: Path, pattern: str) -> list[Path]:
    return [path for ending in (".json", ".csv") for path in sorted(folder.glob(pattern + ending)) if _is_file(path)]


def _split_named(path: Path) -> bool:
    return any(name in path.stem.lower() for names in SPLITS.values() for name in names)


def _others(folder: Path, file: Path) -> list[Path]:
    found = {_find(folder, split) for split in SPLITS} - {file, None}
    return sorted(path for path in found if path is not None)


def _load(file: Path) -> _File:
    if file.suffix.lower() == ".csv":
        return _load_csv(file)
    content = read_json(file, expected=KIND)
    metadata = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(metadata, dict):
        raise DataError(f"{file}: has no `_via_img_metadata`, and no records of images. Export the annotations again.")
    regions: dict[str, list[dict[str, Any]]] = {}
    for key, record in metadata.items():
        listed = record.get("regions") if isinstance(record, dict) else None
        listed = list(listed.values()) if isinstance(listed, dict) else listed
        if not isinstance(listed, list) or not isinstance(record.get("filename"), str):
            raise DataError(
                f"{file}: record {key!r:.80} has no `filename` or no `regions`. Export the annotations again."
            )
        if record["filename"] in regions:
            raise DataError(f"{file}: the image {record['filename']} has two records. Join or remove one of them.")
        regions[record["filename"]] = [region if isinstance(region, dict) else {} for region in listed]
    described = _entry(_entry(content, "_via_attributes"), "region")
    options = {name: values for name in described if (values := _options(_entry(described[name], "options")))}
    settings = _entry(_entry(content, "_via_settings"), "core")
    return _File(regions, options, str(settings.get("default_filepath", "")))


def _entry(record: object, name: str) -> dict[str, Any]:
    """A record inside a record; an empty one if there is none."""
    found = record.get(name) if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}


def _options(listed: dict[str, Any]) -> dict[str, str]:
    return {value: str(words) if value.isdecimal() and words else value for value, words in listed.items()}


def _load_csv(file: Path) -> _File:
    """One row per region; an image without any has a row with region_count 0."""
    rows = csv.DictReader(io.StringIO(read_text(file, KIND).removeprefix("#")))
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise DataError(f"{file}: has no column {', '.join(missing)}. Export the annotations again.")
    regions: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows, start=2):
        listed = regions.setdefault(row["filename"], [])
        where, remedy = f"{file}: row {number}", "Export the annotations again."
        if any(row[column] is None for column in COLUMNS[1:]):
            raise DataError(f"{where}: is cut off. {remedy}")
        shape, attributes = (
            parse_json(row[column] or "{}", f"{where}: `{column}`", expected="a region", remedy=remedy)
            for column in COLUMNS[1:]
        )
        if shape:
            listed.append({"shape_attributes": shape, "region_attributes": attributes})
    return _File(regions, {})


def _all_regions(files: list[_File]) -> Iterator[dict[str, Any]]:
    return (region for file in files for regions in file.regions.values() for region in regions)


def _class_attribute(file: Path, files: list[_File]) -> str | None:
    """Name of the attribute that tells the class."""
    known = {name for found in files for name in found.options}
    names = (known | {name for region in _all_regions(files) for name in _entry(region, "region_attributes")}) - {CROWD}
    if len(names) < 2:
        return next(iter(names), None)
    words = {name.lower(): name for name in sorted(names)}
    fitting = [words[word] for word in CLASS_WORDS if word in words]
    chosen = next((name for name in fitting if name in known), next(iter(fitting), None))
    if chosen is None:
        raise DataError(
            f"{file}: the regions have the attributes {', '.join(sorted(names))}, and none of them is called "
            f"{', '.join(CLASS_WORDS[:-1])} or {CLASS_WORDS[-1]}. Name the one that tells the class so."
        )
    return chosen


def _names(file: Path, attribute: str | None, files: list[_File]) -> list[str]:
    if attribute is None:
        return [ONLY_CLASS]
    listed = [name for found in files for name in found.options.get(attribute, {}).values()]
    used = {_class_name(region, attribute, found) for found in files for region in _all_regions([found])} - {""}
    if not listed and not used:
        raise DataError(f"{file}: no region has a value of `{attribute}`, so there is no class. Fill it in.")
    return list(dict.fromkeys([*listed, *sorted(used)]))


def _value(region: dict[str, Any], attribute: str) -> str:
    """The value of an attribute; that of a checkbox lists what is ticked."""
    value = _entry(region, "region_attributes").get(attribute)
    if isinstance(value, dict):
        ticked = [str(name) for name, on in value.items() if on]
        return ticked[0] if len(ticked) == 1 else ""
    return "" if value is None else str(value).strip()


def _class_name(region: dict[str, Any], attribute: str, file: _File) -> str:
    value = _value(region, attribute)
    return file.options.get(attribute, {}).get(value, value)


def _class_of(region: dict[str, Any], attribute: str | None, file: _File) -> str:
    name = ONLY_CLASS if attribute is None else _class_name(region, attribute, file)
    if not name:
        given = _entry(region, "region_attributes").get(attribute or "")
        raise ValueError(f"`{attribute}`, which tells the class, is {given!r}, but must have one value")
    return name


def _is_crowd(region: dict[str, Any]) -> bool:
    return str(_entry(region, "region_attributes").get(CROWD, "")).strip().lower() in ("1", "true")


def _shape(shape: object) -> dict[str, Any]:
    """COCO's entries of one region; a ValueError says what is wrong with it."""
    if not isinstance(shape, dict):
        raise ValueError("it has no `shape_attributes`")
    kind = shape.get("name")
    if kind == "rect":
        return {"bbox": _numbers(shape, "x", "y", "width", "height")}
    if kind == "circle":
        x, y, radius = _numbers(shape, "cx", "cy", "r")
        return {"segmentation": [ellipse_polygon(x, y, radius, radius)]}
    if kind == "ellipse":
        x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
        angle = _numbers({"theta": 0, **shape}, "theta")[0]
        return {"segmentation": [ellipse_polygon(x, y, radius_x, radius_y, angle)]}
    if kind in ("polygon", "polyline"):
        points = _polygon(shape)
        if kind == "polyline" and points[:2] != points[-2:]:
            raise ValueError("an open polyline has no area; draw the object as a polygon")
        return {"segmentation": [points]}
    raise ValueError(f"a {kind} has no area; draw the object as a rectangle, a polygon, a circle or an ellipse")


def _polygon(shape: dict[str, Any]) -> list[float]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys) and all(map(is_number, [*xs, *ys]))):
        raise ValueError("`all_points_x` and `all_points_y` must be lists of as many finite numbers")
    return [value for point in zip(xs, ys, strict=True) for value in point]


def _numbers(shape: dict[str, Any], *names: str) -> list[float]:
    for name in names:
        if not is_number(shape.get(name)):
            raise ValueError(f"`{name}` of a {shape.get('name')} is {shape.get(name)!r}, but must be a finite number")
    return [shape[name] for name in names]


FORMAT = Format(
    "via", "VGG Image Annotator", "one JSON or CSV file in train/ and val/, or beside the images", is_via, read_via
)
