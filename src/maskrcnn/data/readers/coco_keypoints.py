"""The keypoints of COCO files: those of the categories, and of one annotation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...structures.skeletons import PIXEL_MIDDLE, Skeleton, shared_skeleton


def read_skeleton(file: Path, categories: Sequence[dict[str, Any]]) -> Skeleton | None:
    """The keypoints that the categories of a file have; those without any may be among them.

    Raises:
        DataError: A category contradicts itself, or two have different keypoints.
    """
    try:
        return shared_skeleton(categories)
    except ValueError as error:
        raise DataError(f"{file}: {error}. Correct the file.") from error


def read_keypoints(annotation: dict[str, Any], skeleton: Skeleton) -> np.ndarray:
    """[Kp, 3] x, y in continuous pixels and visibility 0, 1 or 2; all 0 for keypoints that are not annotated.

    Raises:
        ValueError: What is wrong, and the rule it breaks.
    """
    numbers, count = annotation.get("keypoints"), len(skeleton)
    if not numbers:
        return np.zeros((count, 3), dtype=np.float32)
    if not isinstance(numbers, list) or len(numbers) != 3 * count:
        length = len(numbers) if isinstance(numbers, list) else "no"
        rule = f"{count} keypoints need x, y and visibility each, {3 * count}"
        raise ValueError(f"`keypoints` has {length} numbers, but {rule}")
    try:
        points = np.array(numbers, dtype=np.float32).reshape(count, 3)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("`keypoints` holds something that is not a number") from None
    if not np.isfinite(points).all() or not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError("`keypoints` must be finite x and y, and a visibility of 0, 1 or 2 each")
    points[:, :2] += PIXEL_MIDDLE
    return points * (points[:, 2:] > 0)
