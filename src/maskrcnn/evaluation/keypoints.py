"""What COCO's evaluation of keypoints has of its own: object keypoint similarity in the place of IoU, and 10 numbers.

The similarity of a prediction and an object is the mean of exp(-d^2 / (2 area (2 sigma)^2)) over the object's annotated
keypoints, with the distance d, the object's area and the keypoint's sigma (https://cocodataset.org/#keypoints-eval).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..structures.coco_forms import is_number
from ..structures.derived_fields import visible_keypoints
from .annotations import Annotations

MOST_DETECTIONS = 20
"""Detections per image and class that count, in every number."""
AREAS = {"": 0, "m": 1, "l": 2}


def keypoint_objects(truth: Annotations) -> list[dict]:
    """The annotated objects, complete, with `keypoints`, 0 where the file has none, and `num_keypoints`, counted.

    Raises:
        DataError: No category lists keypoints, or an object has another number of them.
    """
    length = 3 * len(keypoint_sigmas(truth))
    objects = []
    for found, complete in zip(truth.objects, truth.complete, strict=True):
        points = found.get("keypoints") or [0] * length
        if not isinstance(points, list) or len(points) != length or not all(map(is_number, points)):
            raise DataError(
                f"{truth.source}: annotation {found.get('id', '?')} of image {found['image_id']}: `keypoints` must "
                f"be {length} finite numbers, x, y and visibility of each keypoint of its category. Correct the file."
            )
        objects.append({**complete, "keypoints": points, "num_keypoints": visible_keypoints(points)})
    return objects


def keypoint_sigmas(truth: Annotations) -> tuple[float, ...]:
    """Sigma of each keypoint."""
    if truth.keypoint_schema is None:
        raise DataError(
            f"{truth.source}: no category lists `keypoints`, so there are none to score. Give another file."
        )
    return truth.keypoint_schema.sigmas


def object_keypoint_similarities(truth: Annotations, points: np.ndarray, objects: Sequence[dict]) -> np.ndarray:
    """Similarity of each prediction with each object.

    An object without a keypoint is a region to ignore: the distance is that to its box, doubled on each side.

    Args:
        truth: Gives the sigmas.
        points: [D, Kp, 3] predictions, x, y and whatever.
        objects: G of `keypoint_objects`.

    Returns:
        [D, G].
    """
    variances = (2 * np.array(keypoint_sigmas(truth))) ** 2
    similar = np.zeros((len(points), len(objects)))
    for column, found in enumerate(objects):
        known = np.array(found["keypoints"], dtype=float).reshape(-1, 3)
        visible = known[:, 2] > 0
        if visible.any():
            offsets = points[:, :, :2] - known[:, :2]
        else:
            corner, sides = np.array(found["bbox"], dtype=float).reshape(2, 2)
            offsets = np.maximum(0, corner - sides - points[:, :, :2])
            offsets += np.maximum(0, points[:, :, :2] - corner - 2 * sides)
            visible[:] = True
        squares = (offsets**2).sum(axis=2) / variances / (found["area"] + np.spacing(1)) / 2
        similar[:, column] = np.exp(-squares[:, visible]).mean(axis=1)
    return similar


def keypoints_problem(points: Any, annotations: Annotations) -> str | None:
    """What is wrong with the `keypoints` of a result; None if nothing is."""
    if points is None or annotations.keypoint_schema is None:
        return None
    length = 3 * len(annotations.keypoint_schema)
    if isinstance(points, list) and len(points) == length and all(map(is_number, points)):
        return None
    return f"keypoints {points!r:.60} must be {length} finite numbers, x, y and score of each keypoint"


def keypoint_numbers(precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray) -> dict[str, np.ndarray]:
    """What the ten numbers are means of.

    Args:
        precision: [T, R, K, A, 1] by similarity threshold, recall, class, range of areas.
        recall: [T, K, A, 1].
        thresholds: [T] similarities.
    """
    at = {name: np.isclose(thresholds, threshold) for name, threshold in (("50", 0.5), ("75", 0.75))}
    numbers = {}
    for name, values in (("AP", precision), ("AR", recall)):
        numbers[name] = values[..., AREAS[""], -1]
        numbers |= {f"{name}{part}": values[chosen][..., AREAS[""], -1] for part, chosen in at.items()}
        numbers |= {f"{name}{area}": values[..., place, -1] for area, place in AREAS.items() if area}
    return numbers
