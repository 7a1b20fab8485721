"""Predictions as COCO records, in memory and on disk: parsed once, where they enter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from ..errors import DataError
from ..ops.files import read_json, write_json
from ..structures.classes import Classes
from ..structures.coco_forms import plain_record
from ..structures.instances import Instances
from ..structures.rle import all_fill
from .annotations import Annotations, rle, to_text
from .keypoints import keypoints_problem
from .prediction_files import is_predictions, records_of_predictions

IouType = Literal["bbox", "segm", "keypoints"]
FIELDS: dict[IouType, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
BLOCK = 1000
"""Records that are checked together."""
NUMBERS = {int, float}
SHOWN = 100
"""Characters of a list of categories that fit into a message."""


@dataclass(frozen=True, eq=False)
class Results(Sequence[dict]):
    """Predictions for the images of a dataset, known to be right: made by `parse` or `read`, and then never changed.

    A sequence of COCO records: `image_id`, `category_id` and `score`, with `bbox` [x, y, width, height], `segmentation`
    or `keypoints`, or several of them. Masks are RLE with compressed text, {"size": [height, width], "counts": str};
    of those that came as polygons these are kept as `polygons`. Metrics take this type and check nothing.

    Args:
        records: The records. A slice of results, or `where`, gives results again.
        source: Name for messages, usually the file's.
    """

    records: tuple[dict, ...]
    source: str = "results"

    @classmethod
    def parse(cls, records: Iterable[dict], truth: Annotations, *, source: str = "results") -> Results:
        """Predictions of a model, of a user or of a file, checked against a dataset.

        Args:
            records: COCO records; results are returned as they are.
            truth: The images, categories and keypoints that may be named; its objects do not matter.
            source: Name for messages.

        Raises:
            DataError: The first record that is none, or has an unknown image or category, a score that is not a number
                from 0 to 1, a box that is not finite or has a negative side, or a mask of another size or one that does
                not fill its image.
        """
        if isinstance(records, Results):
            return records
        given, known = list(records), []
        for start in range(0, len(given), BLOCK):
            block = given[start : start + BLOCK]
            valid = all_valid(block, truth)
            known += block if valid else [_parsed(one, n, truth, source) for n, one in enumerate(block, start)]
        return cls(tuple(known), source)

    @classmethod
    def read(cls, path: Path | str, truth: Annotations) -> Results:
        """Read a COCO results file, or `predictions.json` of `maskrcnn predict`.

        Raises:
            DataError: The file is neither, or as `parse` and `records_of_predictions`.
        """
        content, source = _read_results(path), Path(path).name
        if is_predictions(content):
            content = records_of_predictions(content, truth.file_names, truth.categories, str(path))
        return cls.parse(_require_list(content, path), truth, source=source)

    @overload
    def __getitem__(self, index: int) -> dict: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> dict | Results:
        return replace(self, records=self.records[index]) if isinstance(index, slice) else self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.records)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Results({len(self)} records of {len(self.by_image)} images, {', '.join(self.iou_types)}: {self.source})"
        )

    @property
    def iou_types(self) -> list[IouType]:
        """What the records have: "bbox", "segm", "keypoints"."""
        return [
            iou_type for iou_type, field in FIELDS.items() if any(one.get(field) is not None for one in self.records)
        ]

    @cached_property
    def by_image(self) -> dict[int, list[dict]]:
        """The records of each image that has any, in their order."""
        found: dict[int, list[dict]] = {}
        for record in self.records:
            found.setdefault(record["image_id"], []).append(record)
        return found

    def where(self, keep: Callable[[dict], bool]) -> Results:
        """The results that a condition is true of."""
        return replace(self, records=tuple(filter(keep, self.records)))

    def with_field(self, iou_type: IouType) -> Results:
        """The results that have a box, a mask or keypoints."""
        field = FIELDS[iou_type]
        return self.where(lambda record: record.get(field) is not None)

    def require(self, iou_type: IouType) -> None:
        """Refuse results of which one lacks a box, a mask or keypoints.

        Raises:
            DataError: The first that does.
        """
        for number, record in enumerate(self.records):
            if record.get(FIELDS[iou_type]) is None:
                raise DataError(
                    f"{self.source}: record {number} of image {record['image_id']} has no {FIELDS[iou_type]}, but it "
                    "is scored. Predict with a model that has the head for it, or give the results with it."
                )

    def of_type(self, iou_type: IouType) -> list[dict]:
        """The records as one official evaluation takes them: with box, mask or keypoints only, others left out.

        Evaluators that get several take an object's size from its box also for masks.
        """
        names = ("image_id", "category_id", "score", FIELDS[iou_type])
        return [{name: record[name] for name in names} for record in self.with_field(iou_type)]

    def write(self, path: Path | str, iou_type: IouType | None = None) -> None:
        """Write a COCO results file, whole or not at all; missing folders are made.

        Args:
            path: The JSON file.
            iou_type: "bbox", "segm" or "keypoints" for the file a COCO server takes; None keeps all fields.
        """
        write_json(Path(path), list(self) if iou_type is None else self.of_type(iou_type))


def to_results(instances: Instances, image_id: int, classes: Classes) -> list[dict]:
    """COCO records of one image's predictions: `Instances.to_coco`, with the arguments of a `describe`."""
    return instances.to_coco(image_id, classes)


def read_records(path: Path | str) -> list[Any]:
    """The list that a COCO results file holds, not yet compared with a dataset.

    Raises:
        DataError: The file is not a complete JSON list.
    """
    return _require_list(_read_results(path), path)


def _read_results(path: Path | str) -> Any:
    return read_json(path, expected="a COCO results file", remedy="Give the JSON file of the predictions.")


def _require_list(records: Any, path: Path | str) -> list[Any]:
    if is_predictions(records):
        raise DataError(
            f"{path}: was written by `maskrcnn predict`, but a list of records with the ids of images is needed here. "
            "`maskrcnn evaluate --data DATA --weights WEIGHTS --results FILE` writes one."
        )
    if not isinstance(records, list):
        raise DataError(
            f"{path}: holds a {type(records).__name__}, but a COCO results file is a list of records. Give the file of "
            "the predictions."
        )
    return records


def _parsed(record: Any, number: int, truth: Annotations, source: str) -> dict:
    record = plain_record(record) if isinstance(record, dict) else record
    problem = problem_of(record, truth)
    if problem:
        raise DataError(
            f"{source}: record {number}: {problem}. Make the predictions again, for the images of {truth.source}."
        )
    mask = record.get("segmentation")
    if mask is None or (isinstance(mask, dict) and isinstance(mask["counts"], str) and isinstance(mask["size"], list)):
        return record
    polygons = {"polygons": mask} if isinstance(mask, list) else {}
    return {**record, **polygons, "segmentation": to_text(rle(mask, truth.sizes[record["image_id"]]))}


def all_valid(records: Sequence[Any], annotations: Annotations) -> bool:
    """Whether predictions are certainly valid; about a thousand in a call are fastest.

    Args:
        records: COCO records.
        annotations: Their ground truth.

    Returns:
        False also where it takes a closer look to tell, such as at polygons.
    """
    try:
        return (
            _ids_valid(records, annotations)
            and _scores_valid([record["score"] for record in records])
            and _boxes_valid([record["bbox"] for record in records if record.get("bbox") is not None])
            and _masks_valid([record for record in records if record.get("segmentation") is not None], annotations)
            and _keypoints_valid([points for record in records if (points := record.get("keypoints"))], annotations)
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return False


def _ids_valid(records: Sequence[dict], annotations: Annotations) -> bool:
    return (
        {record["image_id"] for record in records} <= annotations.sizes.keys()
        and {record["category_id"] for record in records} <= annotations.categories.keys()
        and not any("polygons" in record for record in records)
        and all(any(record.get(field) is not None for field in FIELDS.values()) for record in records)
    )


def _scores_valid(scores: list) -> bool:
    values = np.array(scores)
    return _types(scores) <= NUMBERS and bool(((values >= 0) & (values <= 1)).all())  # false for NaN


def _boxes_valid(boxes: list[list]) -> bool:
    if not set(map(len, boxes)) <= {4} or not _types(chain.from_iterable(boxes)) <= NUMBERS:
        return False
    values = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return bool(np.isfinite(values).all() and (values[:, 2:] >= 0).all())


def _masks_valid(records: list[dict], annotations: Annotations) -> bool:
    masks, sizes = [record["segmentation"] for record in records], annotations.sizes
    expected = [list(sizes[record["image_id"]]) for record in records]
    if [mask["size"] for mask in masks] != expected:
        return False
    texts = [mask["counts"] for mask in masks]
    pixels = np.array(expected, dtype=np.int64).reshape(-1, 2).prod(axis=1)
    return _types(texts) <= {str} and all_fill(texts, pixels)


def _keypoints_valid(keypoints: list[list], annotations: Annotations) -> bool:
    if not keypoints or annotations.keypoint_schema is None:
        return True
    if not set(map(len, keypoints)) <= {3 * len(annotations.keypoint_schema)} or not _types(keypoints) <= {list}:
        return False
    return _types(chain.from_iterable(keypoints)) <= NUMBERS and bool(np.isfinite(np.array(keypoints)).all())


def _types(values: Any) -> Set[type]:
    return set(map(type, values))


def problem_of(record: Any, annotations: Annotations) -> str | None:
    """What is wrong with a prediction, to follow its name; None if nothing is."""
    if not isinstance(record, dict) or not {"image_id", "category_id", "score"} <= record.keys():
        return f"{record!r:.60} lacks image_id, category_id or score"
    if not _listed(record["image_id"], annotations.sizes):
        return f"image_id {record['image_id']!r} is not among the {len(annotations.sizes)} images"
    if not _listed(record["category_id"], annotations.categories):
        known = f"{sorted(annotations.categories)!r}"
        known = known if len(known) <= SHOWN else f"the {len(annotations.categories)} categories"
        return f"category_id {record['category_id']!r} is not one of {known}"
    if not _finite(record["score"]) or not 0 <= record["score"] <= 1:
        return f"score {record['score']!r} must be a number from 0 to 1"
    if all(record.get(field) is None for field in FIELDS.values()):
        return "it has neither a bbox nor a segmentation nor keypoints"
    return (
        _box_problem(record.get("bbox"))
        or _mask_problem(record, annotations)
        or keypoints_problem(record.get("keypoints"), annotations)
    )


def _box_problem(box: Any) -> str | None:
    known = box is None or (isinstance(box, Sequence) and len(box) == 4 and all(map(_finite, box)))
    if known and (box is None or (box[2] >= 0 and box[3] >= 0)):
        return None
    return f"bbox {box!r:.80} must be 4 finite numbers x, y, width, height with no negative side"


def _mask_problem(record: dict, annotations: Annotations) -> str | None:
    try:
        for field in ("segmentation", "polygons"):
            if record.get(field) is not None:
                rle(record[field], annotations.sizes[record["image_id"]])
    except ValueError as error:
        return str(error)
    return None


def _listed(value: Any, known: Collection[int]) -> bool:
    return isinstance(value, Hashable) and value in known


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max
