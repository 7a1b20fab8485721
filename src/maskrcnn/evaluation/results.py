"""Predictions as COCO records, in memory and on disk: parsed once, where they enter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

from ..errors import DataError
from ..ops.files import read_json, write_json
from ..structures.classes import Classes
from ..structures.instances import Instances
from .annotations import Annotations
from .result_checks import all_sound, problem_of
from .segmentations import rle, to_text

Kind = Literal["bbox", "segm", "keypoints"]
FIELDS: dict[Kind, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
BLOCK = 1000
"""Records that are checked together."""


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
            sound = all_sound(block, truth)
            known += block if sound else [_parsed(one, n, truth, source) for n, one in enumerate(block, start)]
        return cls(tuple(known), source)

    @classmethod
    def read(cls, path: Path | str, truth: Annotations) -> Results:
        """Read a COCO results file.

        Raises:
            DataError: The file is not a complete JSON list, or as `parse`.
        """
        return cls.parse(read_records(path), truth, source=Path(path).name)

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
        return f"Results({len(self)} records of {len(self.by_image)} images, {', '.join(self.kinds)}: {self.source})"

    @property
    def kinds(self) -> list[Kind]:
        """What the records have: "bbox", "segm", "keypoints"."""
        return [kind for kind, field in FIELDS.items() if any(one.get(field) is not None for one in self.records)]

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

    def with_field(self, kind: Kind) -> Results:
        """The results that have a box, a mask or keypoints."""
        field = FIELDS[kind]
        return self.where(lambda record: record.get(field) is not None)

    def require(self, kind: Kind) -> None:
        """Refuse results of which one lacks a box, a mask or keypoints.

        Raises:
            DataError: The first that does.
        """
        for number, record in enumerate(self.records):
            if record.get(FIELDS[kind]) is None:
                raise DataError(
                    f"{self.source}: record {number} of image {record['image_id']} has no {FIELDS[kind]}, but it is "
                    "scored. Predict with a model that has the head for it, or give the results with it."
                )

    def of_kind(self, kind: Kind) -> list[dict]:
        """The records as one official evaluation wants them: with box, mask or keypoints only, others left out.

        Evaluators that get several take an object's size from its box also for masks.
        """
        names = ("image_id", "category_id", "score", FIELDS[kind])
        return [{name: record[name] for name in names} for record in self.with_field(kind)]

    def write(self, path: Path | str, kind: Kind | None = None) -> None:
        """Write a COCO results file, whole or not at all; missing folders are made.

        Args:
            path: The JSON file.
            kind: "bbox", "segm" or "keypoints" for the file a COCO server takes; None keeps everything in each record.
        """
        write_json(Path(path), list(self) if kind is None else self.of_kind(kind))


def to_results(instances: Instances, image_id: int, classes: Classes) -> list[dict]:
    """COCO records of one image's predictions: `Instances.to_coco`, with the arguments of a `describe`."""
    return instances.to_coco(image_id, classes)


def read_records(path: Path | str) -> list[Any]:
    """The list that a COCO results file holds, not yet compared with a dataset.

    Raises:
        DataError: The file is not a complete JSON list.
    """
    records = read_json(path)
    if not isinstance(records, list):
        raise DataError(
            f"{path}: holds a {type(records).__name__}, but a COCO results file is a list of records. Give the file of "
            "the predictions."
        )
    return records


def _parsed(record: Any, number: int, truth: Annotations, source: str) -> dict:
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
