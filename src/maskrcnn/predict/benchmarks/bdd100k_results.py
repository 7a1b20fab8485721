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

from ...data.readers.scalabel import load_frames
from ...errors import DataError
from ...evaluate.annotations import read_json
from ...evaluate.bdd100k import overlapping_pictures
from ...evaluate.results import checked_results
from ...ops.atomic import replacing
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
    ids, categories = _swap(opened.image_names), _swap(truth.categories)
    records = [
        _record(path, frame["name"], label, ids, categories)
        for frame in load_frames(path)[0]
        for label in frame.get("labels") or []
    ]
    overlapping = overlapping_pictures(checked_results(records, truth), truth)
    if overlapping:
        warnings.warn(
            f"{path}: of {len(overlapping)} pictures, {opened.image_names[min(overlapping)]} first, all predictions "
            "are left out, because some of their masks overlap, as the official evaluation does.",
            stacklevel=2,
        )
    return [record for record in records if record["image_id"] not in overlapping]


def _record(
    path: Path, name: str, label: Mapping[str, Any], ids: Mapping[str, int], categories: Mapping[str, int]
) -> dict[str, Any]:
    where, category = f"{path}: frame {name}: label {label.get('id')!r}", label.get("category")
    if name not in ids:
        raise DataError(f"{where}: the ground truth has no picture of this name. Predict its {len(ids)} pictures.")
    if not isinstance(category, str) or category not in categories:
        raise DataError(f"{where}: `category` {category!r:.60} must be one of {', '.join(categories)}. Correct it.")
    if not isinstance(label.get("rle"), dict) or "score" not in label:
        raise DataError(f"{where}: must have `score` and `rle`, the mask's run lengths. Write the predictions again.")
    place = {"image_id": ids[name], "category_id": categories[category]}
    return {**place, "score": label["score"], "segmentation": label["rle"]}


def _swap(names: Mapping[int, str]) -> dict[str, int]:
    return {name: number for number, name in names.items()}
