"""Predictions as BDD100K's evaluation takes them: one Scalabel JSON file with run lengths, or COCO results.

It is a list of a frame for each picture (https://doc.bdd100k.com/evaluate.html#instance-segmentation):
`{"name": "x.jpg", "labels": [{"id": "1", "category": "car", "score": 0.9, "rle": {"counts": "", "size": []}}]}`.
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.readers.bdd100k import CLASSES
from ...data.readers.scalabel import class_of, load_frames
from ...errors import DataError
from ...evaluation.bdd100k import overlapping_pictures
from ...evaluation.results import checked_results
from ...ops.atomic import replacing
from ...ops.json_files import read_json
from .benchmark import Opened, Records


def write_frames(path: Path, records: Sequence[dict], names: Mapping[int, str], categories: Mapping[int, str]) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: The file.
        records: COCO results with masks that do not overlap.
        names: Names of all pictures by their ids.
        categories: Names of the classes by their ids.
    """
    labels = defaultdict(list)
    for number, record in enumerate(records, start=1):
        label = {"id": str(number), "category": categories[record["category_id"]], "score": record["score"]}
        labels[record["image_id"]].append({**label, "rle": record["segmentation"]})
    frames = [{"name": name, "labels": labels[image_id]} for image_id, name in sorted(names.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(frames, separators=(",", ":")), encoding="utf-8")


def read_frames(path: Path, opened: Opened) -> Records:
    """Predictions of a Scalabel file, or of a COCO results file.

    As in the official evaluation, all predictions of a picture count nothing if two of its masks overlap; a warning
    says of how many pictures.

    Raises:
        DataError: Naming the file, the frame, the label, the value, the rule and the remedy.
    """
    content = read_json(path)
    if isinstance(content, list) and any(isinstance(one, dict) and "image_id" in one for one in content):
        return content
    truth = opened.truth
    if truth is None:
        raise DataError(f"{path}: this split has no ground truth to read results for. Give COCO results.")
    records = frames_records(str(path), load_frames(path)[0], opened.image_names, truth.categories)
    overlapping = overlapping_pictures(checked_results(records, truth), truth)
    if overlapping:
        warnings.warn(
            f"{path}: of {len(overlapping)} pictures, {opened.image_names[min(overlapping)]} first, all predictions "
            "are left out, because some of their masks overlap, as the official evaluation does.",
            stacklevel=2,
        )
    return [record for record in records if record["image_id"] not in overlapping]


def frames_records(
    source: str, frames: Sequence[dict[str, Any]], names: Mapping[int, str], categories: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Labels of frames as COCO results; other names of categories are understood as in the annotations.

    Args:
        source: The file, for messages.
        frames: With `name` and `labels`.
        names, categories: As for `write_frames`.

    Raises:
        DataError: A picture or category is not known, or a label has no score or no run lengths.
    """
    ids, numbers = ({name: number for number, name in table.items()} for table in (names, categories))
    records = []
    for frame in frames:
        for label in frame.get("labels") or []:
            where = f"{source}: frame {frame['name']}: label {label.get('id')!r}"
            if frame["name"] not in ids:
                raise DataError(
                    f"{where}: the ground truth has no picture of this name. Predict its {len(ids)} pictures."
                )
            try:
                category, _ = class_of(label, CLASSES)
            except ValueError as error:
                raise DataError(f"{where}: {error}. Correct it.") from error
            if not isinstance(label.get("rle"), dict) or "score" not in label:
                raise DataError(f"{where}: must have `score` and `rle`, the mask's run lengths. Predict again.")
            place = {"image_id": ids[frame["name"]], "category_id": numbers[category]}
            records.append({**place, "score": label["score"], "segmentation": label["rle"]})
    return records
