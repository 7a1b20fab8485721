"""CrowdPose's evaluation of keypoints: COCO's with areas from boxes, and once more by how crowded an image is.

Li et al. 2019, CrowdPose; https://github.com/Jeff-sjtu/CrowdPose, crowdpose-api.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing
from ...structures.classes import CROWDPOSE_PERSON
from ..benchmark import part_of

AREA_PART = 0.53
"""Of its box that a person's area is taken to be; the annotations have no masks."""
LEVELS = {"easy": (-math.inf, 0.2), "medium": (0.2, 0.8), "hard": (0.8, math.inf)}
"""From and below which crowd index of the image; the paper says 0.1 instead of 0.2, its evaluator does not."""
NUMBERS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")
PROTOCOL = (
    "COCO AP and AR at OKS 0.50:0.05:0.95 with CrowdPose's sigmas and 0.53 of the box as area, at most 20 detections "
    "per image; easy, medium, hard: AP of the images with a crowd index below 0.2, from 0.2, from 0.8"
)


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
    (section,) = coco_sections(truth, results, kinds=("keypoints",))
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
    (section,) = coco_sections(*part_of(truth, results, image_ids), kinds=("keypoints",))
    return section.numbers["AP"]
