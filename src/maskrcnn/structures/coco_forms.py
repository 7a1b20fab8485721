"""COCO's records as exporters write them, brought into one form, by the same rules for reading and for scoring.

Ids and sizes may be floats or text (1.0, "1"), `iscrowd` may be null, a bool or text, polygons may be lists of points,
and RLE may stand in a list of its own. Whatever means nothing for certain stays as it is, for the checks to name it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

WHOLE_NUMBERS = ("id", "image_id", "category_id", "width", "height")
CROWD_WORDS = {"": 0, "0": 0, "false": 0, "no": 0, "1": 1, "true": 1, "yes": 1}


def plain_content(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """`images`, `categories` and `annotations` with plain records; returned as it is if all of them are plain."""
    changed = {}
    for key in ("images", "categories", "annotations"):
        records = content.get(key)
        if isinstance(records, list):
            plain = [plain_record(one) if isinstance(one, dict) else one for one in records]
            if any(new is not old for new, old in zip(plain, records, strict=True)):
                changed[key] = plain
    return {**content, **changed} if changed else content


def plain_record(record: dict[str, Any]) -> dict[str, Any]:
    """An image, a category, an annotation or a result; the record itself if it is plain."""
    changed: dict[str, Any] = {}
    for field in WHOLE_NUMBERS:
        value = record.get(field)
        if type(value) is not int and (plain := _whole(value)) is not None:
            changed[field] = plain
    if "iscrowd" in record and type(record["iscrowd"]) is not int:
        changed["iscrowd"] = _crowd(record["iscrowd"])
    segmentation = record.get("segmentation")
    if segmentation and isinstance(segmentation, list) and isinstance(segmentation[0], list | dict):
        plain = _segmentation(segmentation)
        if plain is not segmentation:
            changed["segmentation"] = plain
    return {**record, **changed} if changed else record


def _whole(value: object) -> int | None:
    """A whole number written as a float or as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value) if value == "0" or value[0] != "0" else None
    return None


def _crowd(value: object) -> object:
    if value is None:
        return 0
    if isinstance(value, bool) or (isinstance(value, float) and value in (0, 1)):
        return int(value)
    return CROWD_WORDS.get(value.strip().casefold(), value) if isinstance(value, str) else value


def _segmentation(given: list[Any]) -> Any:
    """Polygons of points as polygons of x and y in turn; the only RLE of a list."""
    if len(given) == 1 and isinstance(given[0], dict):
        return given[0]
    if len(given) > 2 and all(map(_is_point, given)):
        return [[number for point in given for number in point]]
    if any(_is_points(part) for part in given):
        return [[n for point in part for n in point] if _is_points(part) else part for part in given]
    return given


def _is_points(part: object) -> bool:
    return isinstance(part, list) and bool(part) and all(map(_is_point, part))


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(number, int | float) for number in value)


def polygon_points(numbers: object, size: tuple[int, int]) -> np.ndarray:
    """[N, 2] of a polygon in an image of `size` (height, width). What draws it takes memory for its length.

    Raises:
        ValueError: It is no list of at least three points, or reaches far out of the image.
    """
    if not isinstance(numbers, list | tuple | np.ndarray):
        raise ValueError("`segmentation` must be a list of polygons, and each of them a list of x and y in turn")
    if len(numbers) < 6 or len(numbers) % 2:
        rule = "it needs x and y of at least 3 points"
        raise ValueError(f"a polygon of `segmentation` has {len(numbers)} numbers, but {rule}")
    try:
        points = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a polygon of `segmentation` holds something that is not a number") from None
    sides = np.array(size[::-1])
    if not ((points >= -sides) & (points <= 2 * sides)).all():  # also false for NaN
        rule = "points must be finite and within one image's length of the image"
        raise ValueError(f"a polygon of `segmentation` reaches to {_farthest(points)}, but {rule}")
    return points


def _farthest(points: np.ndarray) -> str:
    strange = points[~np.isfinite(points)]
    return str(strange[0]) if len(strange) else f"{points.flat[np.abs(points).argmax()]:g}"


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
