"""Predictions as the official COCO results list, in memory and on disk."""

import json
import sys
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import DataError
from ..ops.atomic import replacing
from ..structures.classes import Classes
from ..structures.instances import Instances
from .annotations import Annotations, read_json
from .keypoints import keypoints_problem
from .segmentations import run_lengths
from .sound_results import all_sound

Kind = Literal["bbox", "segm", "keypoints"]
FIELDS: dict[Kind, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
BLOCK = 1000
"""Records that are checked together."""
SHOWN = 100
"""Characters of a list of categories that fit into a message."""


def to_results(instances: Instances, image_id: int, classes: Classes) -> list[dict]:
    """COCO records of one picture's predictions: `Instances.to_coco`, with the arguments of a `describe`."""
    return instances.to_coco(image_id, classes)


def of_kind(results: Sequence[dict], kind: Kind) -> list[dict]:
    """The records as one official evaluation wants them: box, mask or keypoints only; records without are left out."""
    names = ("image_id", "category_id", "score", FIELDS[kind])
    return [{name: record[name] for name in names} for record in results if record.get(FIELDS[kind]) is not None]


def write_results(path: Path, results: Sequence[dict], kind: Kind | None = None) -> None:
    """Write an official results file, whole or not at all.

    Args:
        path: The JSON file.
        results: Records of `to_results`.
        kind: "bbox", "segm" or "keypoints" for the file a COCO server takes; None keeps everything in each record.
    """
    records = list(results) if kind is None else of_kind(results, kind)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(records, separators=(",", ":")), encoding="utf-8")


def read_results(path: Path) -> list[dict]:
    """Read an official results file; `checked_results` compares its records with an annotation file.

    Raises:
        DataError: The file is not a complete JSON list.
    """
    records = read_json(Path(path))
    if not isinstance(records, list):
        raise DataError(
            f"{path}: holds a {type(records).__name__}, but a COCO results file is a list of records. Give the file of "
            "the predictions."
        )
    return records


def checked_results(
    results: Sequence[dict] | Path | str, annotations: Annotations, *, source: str = "results"
) -> Sequence[dict]:
    """Predictions that can be scored against annotations.

    Args:
        results: COCO records, or the file that holds them.
        annotations: The ground truth.
        source: Of records, for messages; files are called by their names.

    Raises:
        DataError: The first record that is none, or has an unknown picture or category, a score that is not a number
            from 0 to 1, a box that is not finite or has a negative side, or a mask of another size or one that does
            not fill its picture.
    """
    if isinstance(results, str | Path):
        source, results = Path(results).name, read_results(Path(results))
    for start in range(0, len(results), BLOCK):
        block = results[start : start + BLOCK]
        if not all_sound(block, annotations):
            for number, record in enumerate(block, start):
                _require_sound(source, number, record, annotations)
    return results


def _require_sound(source: str, number: int, record: Any, annotations: Annotations) -> None:
    problem = _problem(record, annotations)
    if problem:
        raise DataError(
            f"{source}: record {number}: {problem}. "
            f"Make the predictions again, for the pictures of {annotations.source}."
        )


def _problem(record: Any, annotations: Annotations) -> str | None:
    if not isinstance(record, dict) or not {"image_id", "category_id", "score"} <= record.keys():
        return f"{record!r:.60} lacks image_id, category_id or score"
    if not _listed(record["image_id"], annotations.sizes):
        return f"image_id {record['image_id']!r} is not among the {len(annotations.sizes)} pictures"
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
    if record.get("segmentation") is None:
        return None
    try:
        run_lengths(record["segmentation"], annotations.sizes[record["image_id"]])
    except ValueError as error:
        return str(error)
    return None


def _listed(value: Any, known: Collection[int]) -> bool:
    return isinstance(value, Hashable) and value in known


def _finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= sys.float_info.max
