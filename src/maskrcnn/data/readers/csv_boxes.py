"""CSV files with a line for each object, as DeepForest, TensorFlow's object detection and Kaggle have them.

The first line names the columns: an image (`image_path`, `filename`, `image_id`, ...), perhaps a class (`label`,
`class`, ...; without one there is one class, `object`), and the object:

    xmin, ymin, xmax, ymax, or x1, y1, x2, y2      corners in pixels
    bbox                                           "[x, y, width, height]" in pixels
    geometry                                       a polygon as WKT in pixels, with holes (DeepForest)
    EncodedPixels                                  "start length start length ...", counted from 1 down the columns

A polygon counts before a box. A line without numbers, or with four times 0 (DeepForest), is an image without objects;
images that no line names are not read. Names without an ending find the image of any ending.
The classes are those of all splits, sorted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from ...errors import DataError
from ...ops.files import parse_json
from ..dataset import Contents
from .contents import Format, first_bytes, read_text
from .drawn_images import DrawnImage, DrawnObject, Size, box_between, gather, numbers, used_labels, with_ending
from .polygons import bitmap_rle, join_parts, odd_even
from .split_files import find_split_file, split_files

IMAGE = ("image_path", "filename", "file_name", "image_id", "imageid", "image", "path", "img")
LABEL = ("label", "class", "class_name", "labelname", "category", "category_name")
CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
WKT, BOX, RUNS = "geometry", "bbox", "encodedpixels"
ONLY = "object"


def is_csv_boxes(path: Path, split: str) -> bool:
    """Whether a path is such a CSV file, or a folder with one for a split."""
    return find_split_file(path, split, ".csv", _is_file) is not None


def read_csv_boxes(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of CSV files with boxes.

    Args:
        path: The CSV file, or a folder with one, or one per split.
        split: "train", "val" or "test".
        images: Folder of the images; None: beside the file, or in `images/` or the folder of the split there.

    Raises:
        DataError: Naming the file, the line, the value, the rule and the remedy.
    """
    file = find_split_file(path, split, ".csv", _is_file)
    if file is None:
        raise DataError(f"{path}: holds no CSV file with boxes for the split `{split}`. Give the file.")
    near = file.parent
    folders = [images] if images else [near, near / "images", near / file.stem, near / "images" / file.stem]
    own = _load(file, folders)
    others = [one for other in split_files(path, ".csv", _is_file) if other != file for one in _load(other, folders)]
    return gather(file, own, used_labels([*own, *others], path), folders)


def _is_file(path: Path) -> bool:
    line = first_bytes(path).partition(b"\n")[0].decode("utf-8-sig", "replace")
    names = {name.strip().strip('"').lower() for name in line.split(",")}
    shapes = any(names.issuperset(corners) for corners in CORNERS) or not names.isdisjoint((WKT, BOX, RUNS))
    return not names.isdisjoint(IMAGE) and shapes


def _load(file: Path, folders: list[Path]) -> list[DrawnImage]:
    reader = csv.reader(io.StringIO(read_text(file, "a CSV file"), newline=""))
    names = [name.strip().lower() for name in next(reader, [])]
    image = next(name for name in IMAGE if name in names)
    label = next((name for name in LABEL if name in names), None)
    found: dict[str, list[DrawnObject]] = {}
    for words in reader:
        row = {name: word.strip() for name, word in zip(names, words, strict=False)}
        if row.get(image):
            drawn = found.setdefault(row[image], [])
            if not _is_empty(row):
                drawn.append(DrawnObject(row.get(label or "") or ONLY, partial(_fields, row, reader.line_num)))
    return [DrawnImage(f"{file}: {name}", with_ending(name, folders), None, drawn) for name, drawn in found.items()]


def _is_empty(row: Mapping[str, str]) -> bool:
    """Whether a line says only that there is an image."""
    words = [row[name] for corners in CORNERS for name in corners if row.get(name)]
    if any(row.get(name) for name in (WKT, BOX, RUNS)):
        return False
    return not words or set(words) <= {"0", "0.0"}


def _fields(row: Mapping[str, str], line: int, size: Size) -> dict[str, Any]:
    if row.get(WKT):
        return {"segmentation": _polygons(row[WKT], line, size)}
    if row.get(RUNS):
        return {"segmentation": _runs(row[RUNS], line, size)}
    if row.get(BOX):
        try:
            values = parse_json(row[BOX], "bbox")
        except DataError:
            values = None
        if not isinstance(values, list) or len(values) != 4:
            raise ValueError(f"line {line}: `bbox` is {row[BOX]!r:.40}, but must be [x, y, width, height]")
        return {"bbox": numbers(dict(zip("xywh", values, strict=True)), "x", "y", "w", "h")}
    names = next(corners for corners in CORNERS if all(name in row for name in corners))
    try:
        return {"bbox": box_between(*(float(row[name]) for name in names))}
    except ValueError:
        words = ", ".join(row[name] for name in names)
        raise ValueError(f"line {line}: {', '.join(names)} are {words!r:.60}, but must be numbers") from None


def _polygons(text: str, line: int, size: Size) -> list[list[float]] | dict[str, Any]:
    try:
        shape = shapely.from_wkt(text)
    except shapely.errors.GEOSException:
        shape = None
    if shape is None or shape.geom_type not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"line {line}: `geometry` is {text!r:.40}, but must be a polygon")
    parts: list[list[float] | dict[str, Any]] = []
    for part in shapely.get_parts(shape):
        rings = [shapely.get_coordinates(ring)[:-1].ravel().tolist() for ring in (part.exterior, *part.interiors)]
        drawn = odd_even(rings, size)
        parts += [drawn] if isinstance(drawn, dict) else drawn
    return join_parts(parts, size)


def _runs(text: str, line: int, size: Size) -> dict[str, Any]:
    """RLE of runs that are counted from 1 down the columns."""
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        values = np.zeros(1, dtype=np.int64)
    starts, lengths = values[: len(values) // 2 * 2].reshape(-1, 2).T
    if len(values) % 2 or (lengths < 1).any() or (starts < 1).any() or (starts - 1 + lengths).max() > size[0] * size[1]:
        raise ValueError(f"line {line}: `EncodedPixels` is {text!r:.40}, but must be starts and lengths in the image")
    pixels = np.zeros(size[0] * size[1], dtype=bool)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        pixels[start - 1 : start - 1 + length] = True
    return bitmap_rle(pixels.reshape(size, order="F"), 0, 0, size)


LAYOUT = "one CSV file beside the images, or one per split"
FORMAT = Format("csv-boxes", "CSV with boxes", LAYOUT, is_csv_boxes, read_csv_boxes)
