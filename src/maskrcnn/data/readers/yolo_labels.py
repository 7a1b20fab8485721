"""The text files of YOLO's labels: one object per line, in shares of the image (see `readers/yolo.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .gathering import read_text

OVER = 0.01
"""How far coordinates may reach over the image, in shares of it (`verify_image_label`)."""
DECIMALS = 6
"""Of a pixel: what remains of numbers that were divided by the image's size."""


class KeypointShape(NamedTuple):
    """Keypoints per object, and numbers per keypoint: 2, or 3 with visibility."""

    points: int
    numbers: int


def label_lines(label: Path) -> Iterator[tuple[int, str]]:
    """The lines of a label file that hold an object, numbered from 1; none if there is no file."""
    if label.is_file():
        for number, line in enumerate(read_text(label, "YOLO labels").splitlines(), start=1):
            if line.strip():
                yield number, line


def label_object(
    line: str, names: list[str], size: tuple[int, int], keypoints: KeypointShape | None
) -> tuple[str, dict[str, Any]]:
    """The class of one line, and its box, polygon or keypoints as COCO's entries.

    Args:
        line: Of a label file.
        names: Of the classes.
        size: (height, width) of the image.
        keypoints: What follows the box; None: nothing, or the line is a polygon.

    Raises:
        ValueError: What is wrong with it.
    """
    words = line.split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        wrong = next(word for word in words if not _is_float(word))
        raise ValueError(
            f"{wrong!r} is not a number; a line is `class x y width height` or `class x1 y1 ...`"
        ) from None
    label, numbers = values[0], values[1:]
    if not label.is_integer() or not 0 <= label < len(names):
        raise ValueError(f"class {words[0]} is none of the {len(names)} classes, which are 0 to {len(names) - 1}")
    name = names[int(label)]
    if keypoints is not None:
        return name, _box_and_keypoints(numbers, size, keypoints)
    if len(numbers) == 4:
        return name, {"bbox": _box(numbers, size)}
    if len(numbers) < 6 or len(numbers) % 2:
        rule = "a box has 4, a polygon x and y of at least 3 points"
        raise ValueError(f"there are {len(numbers)} numbers after the class, but {rule}")
    return name, {"segmentation": [_points(numbers, size)]}


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _require_shares(numbers: list[float]) -> None:
    for value in numbers:
        if not -OVER <= value <= 1 + OVER:
            raise ValueError(f"{value:g} lies outside 0..1; coordinates are shares of the image's width and height")


def _points(numbers: list[float], size: tuple[int, int]) -> list[float]:
    _require_shares(numbers)
    return [round(value * size[1 - place % 2], DECIMALS) for place, value in enumerate(numbers)]


def _box(numbers: list[float], size: tuple[int, int]) -> list[float]:
    _require_shares(numbers)
    (height, width), (x, y, w, h) = size, numbers
    return [round(value, DECIMALS) for value in ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)]


def _box_and_keypoints(numbers: list[float], size: tuple[int, int], keypoints: KeypointShape) -> dict[str, Any]:
    wanted = 4 + keypoints.points * keypoints.numbers
    if len(numbers) != wanted:
        rule = f"a box and {keypoints.points} keypoints of {keypoints.numbers} (`kpt_shape`) have {wanted}"
        raise ValueError(f"there are {len(numbers)} numbers after the class, but {rule}")
    found: list[float] = []
    for start in range(4, wanted, keypoints.numbers):
        x, y, *rest = numbers[start : start + keypoints.numbers]
        seen = rest[0] if rest else float(x >= 0 and y >= 0) * 2
        if seen not in (0, 1, 2):
            raise ValueError(f"visibility {seen:g} is not 0, 1 or 2")
        found += [*(_points([x, y], size) if seen else (0, 0)), int(seen)]
    return {"bbox": _box(numbers[:4], size), "keypoints": found, "num_keypoints": sum(seen > 0 for seen in found[2::3])}
