"""Label Studio (https://labelstud.io/guide/export): a JSON file with a task for each image, `JSON` or `JSON-MIN`.

Polygons, rectangles (turned ones, too), ellipses and brush strokes are objects. Numbers are percent of the image's
width and height; rectangles turn clockwise about their top left corner, ellipses about their middle. A brush has runs
of the bytes red, green, blue and alpha of every pixel, bit by bit as https://github.com/thi-ng/umbrella (`rle-pack`)
writes them; its pixels are those whose alpha is above 0, as in Label Studio's own converter.

A task may be annotated several times: the annotation that is the ground truth is taken, else the last one that was not
cancelled. Predictions are no annotations; a task without an annotation is left out. Choices and texts are no objects.

Images are found by the end of their address, also without the eight characters that an upload puts before the name. The
classes are those of `label_config.xml` beside the file, if there is one, then the other labels of all splits, sorted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ...errors import DataError
from ...ops.files import read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from ..images import IMAGES
from .coco_records import is_id
from .contents import ContentsBuilder, Format, find_image, first_bytes, read_xml
from .polygons import bitmap_rle, ellipse_polygon, rectangle_polygon
from .split_files import find_split_file, split_files

CONFIG = "label_config.xml"
KIND = "an export of Label Studio"
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
NO_REGIONS = ("choices", "textarea", "rating", "number", "datetime", "taxonomy", "pairwise", "relation")
CHANNELS = 4


def is_label_studio(path: Path, split: str) -> bool:
    """Whether a path is an export of Label Studio, or a folder with one for a split."""
    return find_split_file(path, split, ".json", _is_file) is not None


def read_label_studio(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of Label Studio's files.

    Args:
        path: The JSON file, or a folder with one, or one per split.
        split: "train", "val" or "test".
        images: Folder of the images; None: beside the file, or in `images/` there.

    Raises:
        DataError: Naming the file, the task, the value, the rule and the remedy.
    """
    file = find_split_file(path, split, ".json", _is_file)
    if file is None:
        raise DataError(f"{path}: holds no export of Label Studio for the split `{split}`. Give the JSON file.")
    tasks = _load(file)
    found = ContentsBuilder(_names(path, file, tasks), file, images or file.parent)
    for task in tasks:
        where = f"{file}: task {task.get('id', '?')}"
        with found.skipping(where):
            regions = _regions(task)
            image = _image(task, [images] if images else [file.parent / "images", file.parent])
            size = next(filter(None, map(_size, regions)), None) or found.size_of(image)
            image_id = found.add_image(image, size, named_by=where)
            for number, region in enumerate(regions, start=1):
                with found.skipping(f"{where}: region {number} ({region.get('type', '?')})"):
                    found.add_object(image_id, _label(region), **_fields(region, size))
    return found.contents()


def decode_brush(codes: list[int], count: int) -> np.ndarray:
    """[count] values of a run-length code.

    Args:
        codes: Its bytes: 32 bits of the number of values, 5 of the bits of a value less 1, four times 4 of the bits of
            a length less 1; then runs of one bit (repeated or not), two bits (which of the four), the length less 1,
            and one value or as many as the length says.
        count: How many values there must be.

    Raises:
        ValueError: There are others, or the code ends too early.
    """
    bits = np.unpackbits(np.array(codes, dtype=np.uint8))
    text = (bits + ord("0")).tobytes().decode("ascii")
    if len(text) < 53 or int(text[:32], 2) != count:
        raise ValueError(f"its brush has not the {count} numbers of the image's pixels")
    width, lengths = int(text[32:37], 2) + 1, [int(text[at : at + 4], 2) + 1 for at in range(37, 53, 4)]
    values = np.zeros(count, dtype=np.uint8)
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    place, at = 0, 53
    while place < count:
        if at + 3 > len(text):
            raise ValueError("its brush ends too early")
        repeated, bits_of_length = text[at] == "1", lengths[int(text[at + 1 : at + 3], 2)]
        start = at + 3 + bits_of_length
        length = int(text[at + 3 : start] or "0", 2) + 1
        at = start + width * (1 if repeated else length)
        if at > len(text) or place + length > count:
            raise ValueError("its brush ends too early")
        values[place : place + length] = (bits[start:at].reshape(-1, width) @ weights) & 255
        place += length
    return values


def _is_file(path: Path) -> bool:
    begin = first_bytes(path)
    tasks = b'"result"' in begin and (b'"annotations"' in begin or b'"data"' in begin or b'"completions"' in begin)
    return begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and (tasks or b'"original_width"' in begin)


def _load(file: Path) -> list[dict[str, Any]]:
    tasks = read_json(file, expected=KIND)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError(f"{file}: must be a list of tasks, as {KIND} is. Export it again as JSON.")
    return tasks


def _names(path: Path, file: Path, tasks: list[dict[str, Any]]) -> list[str]:
    config = next((place for place in (file.with_name(CONFIG), path / CONFIG) if place.is_file()), None)
    labels = read_xml(config, "a labelling setup").iter("Label") if config else []
    listed = [name for label in labels if (name := label.get("value"))]
    others = split_files(path, ".json", _is_file) if path.is_dir() else []
    contents = [tasks, *(_load(other) for other in others if other != file)]
    used = sorted(set(_labels(task for known in contents for task in known)))
    names = list(dict.fromkeys(listed + used))
    if not names:
        raise DataError(f"{path}: no region has a label, so there is nothing to learn. Annotate some.")
    return names


def _labels(tasks: Iterable[dict[str, Any]]) -> Iterator[str]:
    for task in tasks:
        try:
            regions = _regions(task)
        except ValueError:
            continue
        for region in regions:
            if "keypointlabels" not in region["value"]:
                yield from _labels_of(region)[:1]


def _regions(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The drawn regions of a task; a ValueError says that nobody annotated it."""
    listed = [value for value in task.values() if isinstance(value, list)]
    if "annotations" not in task and "completions" not in task:  # JSON-MIN: the regions' values, by the tags' names
        values = [one for value in listed for one in value if isinstance(one, dict) and "original_width" in one]
        return [{**one, "value": one} for one in values]
    done = [one for one in task.get("annotations") or task.get("completions") or [] if not one.get("was_cancelled")]
    if not done:
        raise ValueError("nobody has annotated it; its predictions, if it has any, must be accepted first")
    chosen = next((one for one in done if one.get("ground_truth")), done[-1])
    regions: dict[str, dict[str, Any]] = {}
    for place, one in enumerate(chosen.get("result") or []):
        if str(one.get("type", "")).lower() not in NO_REGIONS:  # a shape and its label may be results of one id
            key = str(one.get("id", place))
            known = regions.get(key, {})
            value = {**known.get("value", {}), **(one.get("value") or {})}
            regions[key] = {**one, "type": known.get("type", one.get("type", "?")), "value": value}
    return list(regions.values())


def _labels_of(region: dict[str, Any]) -> list[str]:
    named = [value for key, value in region["value"].items() if key.endswith("labels") and isinstance(value, list)]
    return [str(name) for names in named for name in names]


def _label(region: dict[str, Any]) -> str:
    names = _labels_of(region)
    if not names:
        raise ValueError("it has no label. Give it one in Label Studio")
    return names[0]


def _size(region: dict[str, Any]) -> tuple[int, int] | None:
    height, width = region.get("original_height"), region.get("original_width")
    return (height, width) if is_id(height) and is_id(width) else None


def _image(task: dict[str, Any], folders: list[Path]) -> Path:
    data = task.get("data", task)
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    address = texts.get("image") or next((one for one in texts.values() if _path(one).lower().endswith(IMAGES)), None)
    if address is None:
        raise ValueError("its `data` names no image")
    name = _path(address)
    plain = str(Path(name).with_name(UPLOADED.sub("", Path(name).name)))
    found = find_image(name, folders)
    return found if found.is_file() or plain == name else find_image(plain, folders)


def _path(address: str) -> str:
    """The part of an address that names a file in the dataset's folder."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [""])[0]  # /data/local-files/?d=images/a.png
    return (local or unquote(parts.path)).lstrip("/")


def _fields(region: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """COCO's entries of a region; a ValueError says what is wrong with it."""
    value = region["value"]
    if region.get("image_rotation", value.get("image_rotation", 0)):
        raise ValueError("its image was turned in Label Studio. Turn it back")
    if "rle" in value:
        return {"segmentation": _brush(value["rle"], size)}
    if "points" in value:
        points = [_scaled(point, size) for point in value["points"]]
        return {"segmentation": [[number for point in points for number in point]]}
    if "radiusX" in value:
        (x, y), (radius_x, radius_y) = _pair(value, ("x", "y"), size), _pair(value, ("radiusX", "radiusY"), size)
        turned = math.radians(_number(value, "rotation"))
        return {"segmentation": [ellipse_polygon(x, y, radius_x, radius_y, turned)]}
    if "width" in value and "height" in value and "keypointlabels" not in value:
        (x, y), (width, height) = _pair(value, ("x", "y"), size), _pair(value, ("width", "height"), size)
        angle = _number(value, "rotation")
        if not angle:
            return {"bbox": [x, y, width, height]}
        return {"segmentation": [_turned(x, y, width, height, angle)]}
    raise ValueError("it has no area; draw the object as a polygon, a rectangle, an ellipse or with a brush")


def _turned(x: float, y: float, width: float, height: float, degrees: float) -> list[float]:
    """A rectangle turned about its top left corner."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = x + (width * cosine - height * sine) / 2, y + (width * sine + height * cosine) / 2
    sides = middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2
    return rectangle_polygon(*sides, degrees)


def _brush(codes: Any, size: tuple[int, int]) -> dict[str, Any]:
    if not isinstance(codes, list) or not all(is_id(code) and 0 <= code < 256 for code in codes):
        raise ValueError("`rle` must be a list of bytes")
    values = decode_brush(codes, CHANNELS * size[0] * size[1])
    return bitmap_rle(values.reshape(*size, CHANNELS)[..., -1], 0, 0, size)


def _scaled(point: Any, size: tuple[int, int]) -> tuple[float, float]:
    if not isinstance(point, list) or len(point) != 2 or not all(map(is_number, point)):
        raise ValueError(f"`points` must be pairs of finite numbers, but one is {point!r:.60}")
    return point[0] / 100 * size[1], point[1] / 100 * size[0]


def _pair(value: dict[str, Any], names: tuple[str, str], size: tuple[int, int]) -> tuple[float, float]:
    return _scaled([_number(value, name) for name in names], size)


def _number(value: dict[str, Any], name: str) -> float:
    number = value.get(name, 0 if name == "rotation" else None)
    if not is_number(number):
        raise ValueError(f"`{name}` is {number!r:.40}, but must be a finite number")
    return float(number)


LAYOUT = "one JSON export beside images/, or one per split"
FORMAT = Format("label-studio", "Label Studio", LAYOUT, is_label_studio, read_label_studio)
