"""The records of a COCO file, checked: its images, and of an annotation its box, class, polygon and keypoints."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from ...errors import DataError
from ...structures.annotated_masks import Drawn, Polygons
from ...structures.classes import PIXEL_MIDDLE, Classes, KeypointSchema, shared_keypoint_schema
from ...structures.coco_forms import is_number, polygon_points
from ...structures.instances import Instances
from ...structures.masks import Masks
from ...structures.rle import check_counts, counts_from_text, crop_from_counts
from ..images import image_size
from ..pixel_limit import require_pixels
from .contents import list_some, other_spelling

REMEDY = "Correct the file, or read it with skip_invalid=True (--skip-invalid) to leave such {}s out."

Box = tuple[float, float, float, float]


class AnnotatedObject(NamedTuple):
    """One object in its image's pixels.

    Args:
        box: x1, y1, x2, y2, inside the image.
        label: 0..K-1.
        crowd: Whether it is a group that was not separated.
        source: Its polygon or RLE, or None if it has only a box.
        keypoints: [Kp, 3] x, y, visibility; None in a file without keypoints.
    """

    box: Box
    label: int
    crowd: bool
    source: Drawn | None
    keypoints: np.ndarray | None = None


class ImageEntry(NamedTuple):
    """A record of the file's `images`, without objects."""

    path: Path
    size: tuple[int, int]
    fields: dict[str, Any]


def read_images(
    file: Path, images: list[dict[str, Any]], folder: Path, *, in_memory: Collection[int] = ()
) -> dict[int, ImageEntry]:
    """The images of a file by their ids, in its order.

    Args:
        file: The annotation file, for messages.
        images: Its list of images.
        folder: Where they lie.
        in_memory: Ids of those for which there is no file.

    Raises:
        DataError: An id, a name or a size is wrong, or an image is not there.
    """
    for image in images:
        if not is_id(image.get("id")) or not isinstance(image.get("file_name"), str):
            rule = "`id` must be a whole number and `file_name` a text"
            raise DataError(
                f"{file}: image {image.get('id')!r} ({image.get('file_name')!r}): {rule}. Correct the file."
            )
    paths = _find_files(file, folder, [image["file_name"] for image in images if image["id"] not in in_memory])
    entries: dict[int, ImageEntry] = {}
    for image in images:
        image_id, path = image["id"], paths.get(image["file_name"], Path(folder) / image["file_name"])
        if image_id in entries:
            first = entries[image_id].path.name
            raise DataError(
                f"{file}: image id {image_id} is used twice ({first} and {path.name}). Give each its own id."
            )
        fields = {key: value for key, value in image.items() if key not in ("id", "file_name", "width", "height")}
        entries[image_id] = ImageEntry(path, _image_size(file, image, path), fields)
    return entries


def _image_size(file: Path, image: dict[str, Any], path: Path) -> tuple[int, int]:
    height, width = image.get("height"), image.get("width")
    if height is None or width is None:
        return image_size(path)
    if not (is_id(height) and is_id(width) and height > 0 and width > 0):
        raise DataError(
            f"{file}: image {image['id']} ({path.name}): {width!r} x {height!r} is not a size; `width` and `height` "
            "must be whole numbers above 0. Correct them, or leave both out to have them read from the image."
        )
    require_pixels(path, (height, width))
    return height, width


def _find_files(file: Path, folder: Path, names: list[str]) -> dict[str, Path]:
    """Those that are there by another spelling than in the file: Windows' separators, or upper and lower case.

    Raises:
        DataError: Some are there by none.
    """
    listed: dict[Path, set[str]] = {}
    found: dict[str, Path] = {}
    for name in names:
        path = Path(folder) / name
        if path.parent not in listed:
            listed[path.parent] = set(os.listdir(path.parent)) if path.parent.is_dir() else set()
        if path.name not in listed[path.parent] and (other := other_spelling(Path(folder), name)):
            found[name] = other
    require_files(file, folder, [name for name in names if name not in found])
    return found


def require_files(file: Path, folder: Path, names: list[str]) -> None:
    """Refuse a dataset some of whose images are missing; one look into each folder, however many there are.

    Raises:
        DataError: Naming some of them.
    """
    listed: dict[Path, set[str]] = {}
    missing = []
    for path in (Path(folder) / name for name in names):
        if path.parent not in listed:
            listed[path.parent] = set(os.listdir(path.parent)) if path.parent.is_dir() else set()
        if path.name not in listed[path.parent]:
            missing.append(path)
    if missing:
        raise DataError(
            f"{file}: {len(missing)} of its {len(names)} images are not there: {list_some(missing)}. Check the "
            "folder of the images, or take these records out of the file."
        )


def read_object(
    annotation: dict[str, Any],
    size: tuple[int, int],
    labels: dict[int, int],
    keypoint_schema: KeypointSchema | None = None,
) -> AnnotatedObject:
    """Read one annotation.

    Args:
        annotation: As it stands in the file.
        size: (height, width) of its image.
        labels: Label of each category id.
        keypoint_schema: The keypoints of the file's categories.

    Raises:
        ValueError: What is wrong with it, and the rule it breaks.
    """
    source = _source(annotation.get("segmentation"), size)
    box = annotation.get("bbox")
    if box is None and source is None:
        raise ValueError("it has neither `bbox` nor `segmentation`, but one of them must say where the object is")
    corners = _surrounding_box(source, size) if box is None and source is not None else _corners(box)
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise ValueError(f"`iscrowd` is {crowd!r}, but must be 0 or 1")
    keypoints = None if keypoint_schema is None else read_keypoints(annotation, keypoint_schema)
    return AnnotatedObject(_inside(corners, size), _label(annotation, labels), bool(crowd), source, keypoints)


def read_keypoint_schema(file: Path, categories: Sequence[dict[str, Any]]) -> KeypointSchema | None:
    """The keypoints that the categories of a file have; those without any may be among them.

    Raises:
        DataError: A category contradicts itself, or two have different keypoints.
    """
    try:
        return shared_keypoint_schema(categories)
    except ValueError as error:
        raise DataError(f"{file}: {error}. Correct the file.") from error


def read_keypoints(annotation: dict[str, Any], keypoint_schema: KeypointSchema) -> np.ndarray:
    """[Kp, 3] x, y in continuous pixels and visibility 0, 1 or 2; all 0 for keypoints that are not annotated.

    Raises:
        ValueError: What is wrong, and the rule it breaks.
    """
    numbers, count = annotation.get("keypoints"), len(keypoint_schema)
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


def refuse_problems(problems: Sequence[str], what: str) -> None:
    """Refuse a dataset with objects that cannot be used; `what` they are, in the singular.

    Raises:
        DataError: With the first problem, and how many more there are.
    """
    if problems:
        more = len(problems) - 1
        others = f" {more} more {what}{'s' * (more > 1)} of this dataset cannot be used." if more else ""
        raise DataError(f"{problems[0]}. {REMEDY.format(what)}{others}")


def make_instances(
    size: tuple[int, int],
    objects: Sequence[AnnotatedObject],
    masks: Masks,
    classes: Classes,
    keypoints: Tensor | None = None,
) -> Instances:
    """The objects of an image of `size` (height, width)."""
    return Instances(
        size=size,
        boxes=torch.tensor([one.box for one in objects], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([one.label for one in objects], dtype=torch.int64),
        crowd=torch.tensor([one.crowd for one in objects], dtype=torch.bool),
        masks=masks,
        keypoints=keypoints,
        classes=classes,
    )


def box_polygon(box: Box) -> Polygons:
    """The polygon that stands in for a mask where only a box is known."""
    x1, y1, x2, y2 = box
    return (np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64),)


def is_id(value: object) -> TypeGuard[int]:
    """Whether a JSON value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _label(annotation: dict[str, Any], labels: dict[int, int]) -> int:
    category = annotation.get("category_id")
    if is_id(category) and category in labels:
        return labels[category]
    nearest = f" (nearest: {min(labels, key=lambda known: abs(known - category))})" if is_id(category) else ""
    raise ValueError(f"`category_id` is {category!r}, but no category of the file has this id{nearest}")


def _corners(box: object) -> Box:
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        raise ValueError(f"box {box!r} is not four finite numbers (COCO boxes are x, y, width, height)")
    x, y, width, height = box
    for side, name in ((width, "wide"), (height, "high")):
        if side <= 0:
            rule = "both sides must be above 0 (COCO boxes are x, y, width, height)"
            raise ValueError(f"box {box!r} is {side:g} px {name}, but {rule}")
    return x, y, x + width, y + height


def _inside(corners: Box, size: tuple[int, int]) -> Box:
    """The part inside the image; COCO's own boxes reach out by their rounding."""
    height, width = size
    x1, y1, x2, y2 = corners
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        where = f"x {x1:g}..{x2:g}, y {y1:g}..{y2:g}"
        raise ValueError(f"box {where} lies outside its image, which is {width} px wide and {height} px high")
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def _source(segmentation: object, size: tuple[int, int]) -> Drawn | None:
    if segmentation is None or segmentation == []:
        return None
    if isinstance(segmentation, dict):
        return _rle(segmentation, size)
    if not isinstance(segmentation, list):
        raise ValueError(f"`segmentation` is a {type(segmentation).__name__}, but must be polygons or RLE")
    return tuple(polygon_points(part, size) for part in segmentation)


def _rle(rle: dict[str, Any], size: tuple[int, int]) -> bytes:
    if rle.get("size") != list(size):
        rule = f"its image is {list(size)} (height, width)"
        raise ValueError(f"the RLE of `segmentation` are of size {rle.get('size')!r}, but {rule}")
    counts = rle.get("counts")
    try:
        if isinstance(counts, str):
            text = counts.encode("ascii")
            runs = counts_from_text(text)
        else:
            runs = _plain_counts(counts)
        check_counts(runs, size)
    except ValueError as error:
        raise ValueError(f"the RLE of `segmentation` cannot be used: {error}") from None
    if not runs[1::2].any():
        raise ValueError("the RLE of `segmentation` have no pixel, but an object needs at least one")
    return text if isinstance(counts, str) else coco_mask.frPyObjects({**rle, "counts": runs.tolist()}, *size)["counts"]


def _plain_counts(counts: object) -> np.ndarray:
    if not isinstance(counts, list) or not counts or not all(is_id(run) for run in counts):
        raise ValueError("`counts` must be COCO's compressed text or a list of whole numbers")
    try:
        return np.array(counts, dtype=np.int64)
    except OverflowError:
        raise ValueError("a run is longer than any image") from None


def _surrounding_box(source: Drawn, size: tuple[int, int]) -> Box:
    if isinstance(source, bytes):
        x, y, bitmap = crop_from_counts(counts_from_text(source), size)
        return x, y, x + bitmap.shape[1], y + bitmap.shape[0]
    points = np.concatenate(source)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2
