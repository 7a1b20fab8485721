"""The annotated objects that predictions are scored against: a COCO file, completed but never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ..errors import DataError
from ..ops.files import read_json
from ..structures.classes import KeypointSchema, shared_keypoint_schema
from ..structures.coco_forms import plain_content, polygon_points
from ..structures.derived_fields import derived_remarks, usable_area, visible_keypoints
from ..structures.keypoint_lists import with_listed_keypoints
from ..structures.masks import Crop
from ..structures.rle import check_counts, counts_from_text, crop_from_counts

Size = tuple[int, int]


def rle(segmentation: Any, size: Size) -> dict:
    """Compressed RLE of one object.

    Args:
        segmentation: Polygons [[x, y, x, y, ...], ...], or {"size": [height, width], "counts": text or list}.
        size: (height, width) of the image.

    Returns:
        {"size": [height, width], "counts": bytes}.

    Raises:
        ValueError: It is neither, or the runs do not fill the image; the text says what is wrong, and is made to
            follow the name of the record. (Runs that end too early would make `mask.iou` loop for ever.)
    """
    if isinstance(segmentation, dict):
        return _checked_runs(segmentation, size)
    if isinstance(segmentation, list):
        return _from_polygons(segmentation, size)
    raise ValueError(f"segmentation is {segmentation!r:.60}, but must be polygons or RLE with size and counts")


def _from_polygons(polygons: list, size: Size) -> dict:
    try:
        points = [polygon_points(polygon, size).ravel() for polygon in polygons]
    except ValueError as error:
        raise ValueError(f"segmentation {polygons!r:.60} must hold polygons: {error}") from None
    if not points:
        raise ValueError("segmentation [] must hold polygons of at least 3 points x, y")
    return coco_mask.merge(coco_mask.frPyObjects(points, *size))


def _checked_runs(segmentation: dict, size: Size) -> dict:
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(stated, Sequence) or tuple(stated) != tuple(size):
        raise ValueError(f"its mask is of size {stated}, but the image's [height, width] is {list(size)}")
    try:
        if isinstance(counts, str | bytes):
            text = counts.encode("ascii") if isinstance(counts, str) else counts
            check_counts(counts_from_text(text), size)
            return {"size": list(size), "counts": text}
        runs = np.array(counts, dtype=np.int64)
        check_counts(runs, size)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"its mask's RLE cannot be used: {error}") from error
    return coco_mask.frPyObjects({"size": list(size), "counts": runs.tolist()}, *size)


def to_text(rle: dict) -> dict:
    """RLE whose compressed counts are text, as JSON needs them."""
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


def rle_crop(rle: dict) -> Crop:
    """The pixels of a mask in its own window, of RLE with compressed counts that is known to be right."""
    counts, size = rle["counts"], (rle["size"][0], rle["size"][1])
    return crop_from_counts(counts_from_text(counts.encode("ascii") if isinstance(counts, str) else counts), size)


@dataclass(frozen=True)
class Annotations:
    """Ground truth of an evaluation.

    Args:
        source: Name for messages, usually the file's.
        sizes: (height, width) of each image by its id.
        categories: Name of each category by its id.
        objects: Annotations with `image_id`, `category_id` and what else the file has.
        keypoint_schema: The keypoints that the categories list; None: none.
        file_names: Of the images by their ids, where they are known.
    """

    source: str
    sizes: dict[int, Size]
    categories: dict[int, str]
    objects: list[dict]
    keypoint_schema: KeypointSchema | None = None
    file_names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: Mapping[str, Any], *, source: str = "annotations") -> Annotations:
        """Ground truth from what a COCO file holds, which is not changed.

        Args:
            content: With `images`, `categories` and `annotations`.
            source: Name for messages.

        Raises:
            DataError: A list or a field is missing, or an annotation names an unknown image or category.
        """
        content = plain_content(content) if isinstance(content, Mapping) else content
        try:
            sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
            categories = {category["id"]: str(category["name"]) for category in content["categories"]}
            objects = content["annotations"]
            unknown = next((found for found in objects if not _is_listed(found, sizes, categories)), None)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{source}: lacks {error}, but a COCO file has images (id, height, width), categories (id, name) "
                "and annotations (image_id, category_id). Add what is missing."
            ) from error
        _require_sizes(sizes, source)
        content = with_listed_keypoints(content)
        objects = content["annotations"]
        if unknown is not None:
            key = "category_id" if unknown["image_id"] in sizes else "image_id"
            raise DataError(
                f"{source}: annotation {unknown.get('id', '?')}: {key} {unknown[key]} is not in the file's list. "
                "Add it there, or take the annotation out."
            )
        schema = _keypoint_schema(content["categories"], source)
        names = {image["id"]: str(image["file_name"]) for image in content["images"] if "file_name" in image}
        return cls(source, sizes, categories, objects, schema, names)

    @classmethod
    def read(cls, path: Path | str) -> Annotations:
        """Read the ground truth from a COCO file.

        Raises:
            DataError: The file cannot be read, or as `parse`.
        """
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError(f"{path}: holds a {type(content).__name__}, but a COCO annotation file is one JSON object.")
        return cls.parse(content, source=Path(path).name)

    @cached_property
    def complete(self) -> list[dict]:
        """The objects with `bbox`, `area` and `iscrowd`, read from the mask or the box where the file lacks them.

        So is an `area` that cannot be right. Ids are counted anew from 1: evaluators take an annotation with the id 0
        for "not matched".
        """
        return [self._completed(found, number) for number, found in enumerate(self.objects, start=1)]

    @cached_property
    def remarks(self) -> list[str]:
        """What the file says of its objects that cannot be right, and was not used; a sentence for each field."""
        areas, counts = [], []
        for found, complete in zip(self.objects, self.complete, strict=True):
            name, area, count = self._name(found), found.get("area"), found.get("num_keypoints")
            if area is not None and area != complete["area"]:
                areas.append(f"{name} has {area!r:.20}, its object {complete['area']:g}")
            points = found.get("keypoints")
            visible = visible_keypoints(points) if isinstance(points, list) else 0
            if self.keypoint_schema is not None and count is not None and count != visible:
                counts.append(f"{name} has {count!r:.20}, its object {visible}")
        return derived_remarks({"area": areas, "num_keypoints": counts})

    @cached_property
    def masks(self) -> list[dict]:
        """RLE of each object; where the file has only a box, the box stands in, as it does in training."""
        return [self._mask(found) for found in self.objects]

    def _completed(self, found: dict, number: int) -> dict:
        self._check_box(found)
        segmentation, box = found.get("segmentation"), found.get("bbox")
        if box is None:
            box = coco_mask.toBbox(self._mask(found)).tolist()
        area = usable_area(found.get("area"))
        if area is None:
            area = float(coco_mask.area(self._mask(found))) if segmentation else box[2] * box[3]
        return {
            "id": number,
            "image_id": found["image_id"],
            "category_id": found["category_id"],
            "bbox": box,
            "area": area,
            "iscrowd": int(found.get("iscrowd") or 0),
        }

    def _check_box(self, found: dict) -> None:
        box = found.get("bbox")
        if box is None and not found.get("segmentation"):
            raise DataError(f"{self._name(found)}: has neither bbox nor segmentation. Add one, or take it out.")
        if box is not None and not _is_box(box):
            raise DataError(
                f"{self._name(found)}: bbox {box!r:.80} must be 4 finite numbers x, y, width, height with no negative "
                "side. Correct it."
            )

    def _mask(self, found: dict) -> dict:
        segmentation = found.get("segmentation")
        if not segmentation:
            self._check_box(found)
            x, y, width, height = found["bbox"]
            segmentation = [[x, y, x, y + height, x + width, y + height, x + width, y]]
        try:
            return rle(segmentation, self.sizes[found["image_id"]])
        except ValueError as error:
            raise DataError(f"{self._name(found)}: {error}. Correct the file, or take the annotation out.") from error

    def _name(self, found: dict) -> str:
        return f"{self.source}: annotation {found.get('id', '?')} of image {found['image_id']}"


def _require_sizes(sizes: Mapping[int, Sequence[Any]], source: str) -> None:
    for image_id, size in sizes.items():
        if not all(isinstance(side, int | np.integer) and int(side) > 0 for side in size):
            raise DataError(
                f"{source}: image {image_id}: height {size[0]!r} and width {size[1]!r} must be whole numbers above 0. "
                "Correct them."
            )


def _is_listed(found: dict, sizes: dict[int, Size], categories: dict[int, str]) -> bool:
    return found["image_id"] in sizes and found["category_id"] in categories


def _is_box(box: Any) -> bool:
    plain = isinstance(box, Sequence | np.ndarray) and len(box) == 4 and all(isinstance(side, Real) for side in box)
    return plain and bool(np.isfinite(box).all()) and box[2] >= 0 and box[3] >= 0


def _keypoint_schema(categories: list[dict], source: str) -> KeypointSchema | None:
    try:
        return shared_keypoint_schema(categories)
    except ValueError as error:
        raise DataError(f"{source}: {error}. Correct the file.") from error
