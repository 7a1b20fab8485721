"""CrowdPose (Li et al. 2019, https://github.com/Jeff-sjtu/CrowdPose): keypoints of people in crowds."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.dataset import Contents
from ..data.readers.coco import parse_coco
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import coco_sections
from ..evaluation.results import Results
from ..evaluation.sections import Say, Section, say_nothing
from ..structures.classes import CROWDPOSE_PERSON
from ..structures.coco_forms import is_number
from .benchmark import Benchmark, part_of, require_any

REMEDY = "Use weights that find CrowdPose's 14 keypoints: COCO's have neither the head nor the neck."
AREA_PART = 0.53
"""Of its box that a person's area is taken to be; the annotations have no masks."""
LEVELS = {"easy": (-math.inf, 0.2), "medium": (0.2, 0.8), "hard": (0.8, math.inf)}
"""From and below which crowd index of the image; the paper says 0.1 instead of 0.2, its evaluator does not."""
NUMBERS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")
PROTOCOL = (
    "COCO AP and AR at OKS 0.50:0.05:0.95 with CrowdPose's sigmas and 0.53 of the box as area, at most 20 detections "
    "per image; easy, medium, hard: AP of the images with a crowd index below 0.2, from 0.2, from 0.8"
)


class CrowdPose(Benchmark):
    """CrowdPose's keypoints."""

    name, title, splits = "crowdpose", "CrowdPose keypoints", ("test", "val", "trainval", "train")
    skip_invalid = True
    layout = "images/*.jpg, json/crowdpose_{train,val,trainval,test}.json"

    def open(self) -> None:
        file = self.find_file(self.folder / "json" / f"crowdpose_{self.split}.json")
        coco = parse_coco(file)
        self._crowd_index = {image["id"]: _crowd_index(file, image) for image in coco["images"]}
        contents = Contents(file, self.folder / "images", coco)
        self._annotated(contents, crowdpose_truth(Annotations.parse(coco, source=file.name)))

    def _score(self, results: Results, say: Say) -> list[Section]:
        require_any(results, ["keypoints"], REMEDY)
        return crowdpose_sections(self.known, self._crowd_index, results, say=say)


def _crowd_index(file: Path, image: dict[str, Any]) -> float:
    found = image.get("crowdIndex")
    if not is_number(found):
        raise DataError(
            f"{file}: image {image.get('id')} has the crowdIndex {found!r}, but it must be a number that says how "
            "crowded the image is. Take the file of the official distribution."
        )
    return float(found)


def crowdpose_sections(
    truth: Annotations, crowd_index: Mapping[int, float], results: Results, *, say: Say = say_nothing
) -> list[Section]:
    """Score keypoints as CrowdPose's own evaluator does (which rounds the AP of each level to four decimals).

    Args:
        truth: Of `crowdpose_truth`.
        crowd_index: How crowded each image is, by its id.
        results: With 14 keypoints; boxes are not needed.
        say: Called with what is being scored.

    Returns:
        One section; -1 where no person is annotated, as in a level without images.
    """
    say("keypoints")
    (section,) = coco_sections(truth, results, iou_types=("keypoints",))
    numbers = {name: section.numbers[name] for name in NUMBERS}
    for level, (least, below) in LEVELS.items():
        say(f"{level} images")
        chosen = {image_id for image_id in truth.sizes if least <= crowd_index[image_id] < below}
        numbers[f"AP_{level}"] = _ap_of(truth, results, chosen)
    return [Section("keypoints", "keypoints", PROTOCOL, numbers)]


def crowdpose_truth(truth: Annotations) -> Annotations:
    """CrowdPose's annotations with the areas and the sigmas that it scores with, whatever `area` they may have.

    Raises:
        DataError: An annotation cannot be used.
    """
    objects = [
        {**found, "area": AREA_PART * complete["bbox"][2] * complete["bbox"][3]}
        for found, complete in zip(truth.objects, truth.complete, strict=True)
    ]
    return replace(truth, objects=objects, keypoint_schema=CROWDPOSE_PERSON)


def _ap_of(truth: Annotations, results: Results, image_ids: Collection[int]) -> float | None:
    if not image_ids:
        return -1.0
    (section,) = coco_sections(*part_of(truth, results, image_ids), iou_types=("keypoints",))
    return section.numbers["AP"]
