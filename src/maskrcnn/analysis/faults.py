"""What is wrong with each detection, and which objects nobody found (TIDE, Bolya et al. 2020, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..evaluation.annotations import Annotations
from ..evaluation.results import IouType, Results
from .matching import Overlaps, image_overlaps, match_image

Fault = Literal["classification", "localization", "class_and_place", "duplicate", "background", "missed"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""In the order in which errors are put right one after the other: TIDE's."""
FAULT_TITLES: dict[Fault, str] = {
    "classification": "wrong class",
    "localization": "wrong place",
    "class_and_place": "class and place",
    "duplicate": "duplicate",
    "background": "background",
    "missed": "missed",
}
CLASSIFICATION, LOCALIZATION, CLASS_AND_PLACE, DUPLICATE, BACKGROUND = range(5)
RIGHT, IGNORED = -1, -2
FOREGROUND_IOU = 0.5
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class DetectionFaults:
    """D detections, image by image, each image's best first, and G objects.

    Args:
        detections: [D] places in the results.
        image_ids: [D] their images.
        categories: [D] their category ids.
        scores: [D].
        faults: [D] places in `FAULTS`, or `RIGHT`, or `IGNORED`.
        objects: [D] places in the truth's objects: what a right one found, what one with a wrong class or place is
            assigned to, what a duplicate found again; -1: none.
        counted: [G] whether an object is to be found.
        found: [G] whether it is.
        iou: From which IoU on an object is found.
    """

    detections: np.ndarray
    image_ids: np.ndarray
    categories: np.ndarray
    scores: np.ndarray
    faults: np.ndarray
    objects: np.ndarray
    counted: np.ndarray
    found: np.ndarray
    iou: float

    @property
    def missed(self) -> np.ndarray:
        """[G] objects that are not found, and that no detection with a wrong class or place is assigned to."""
        return self.missed_from(-np.inf)

    def missed_from(self, score: float) -> np.ndarray:
        """[G] the same, where only detections with at least this score are there."""
        assigned = np.isin(self.faults, (RIGHT, CLASSIFICATION, LOCALIZATION)) & (self.scores >= score)
        missed = self.counted.copy()
        missed[self.objects[assigned]] = False
        return missed


def find_faults(
    truth: Annotations,
    results: Results,
    iou_type: IouType,
    *,
    iou: float = FOREGROUND_IOU,
    background: float = BACKGROUND_IOU,
    max_detections: int = 100,
    on_progress: Callable[[int], None] | None = None,
) -> DetectionFaults:
    """Say of each detection whether it is right, need not be, or what is wrong with it; the first of these that holds:

    - localization: its best IoU with an object of its class is from `background` to below `iou`;
    - classification: it fits an object of another class (IoU from `iou` on);
    - duplicate: it fits an object of its class that a better detection has found;
    - background: its IoU with every object is at most `background`;
    - class_and_place: what is left, some IoU with objects of other classes only.

    Right is what COCO's matching makes right. Crowds and what it need not find are no objects; detections that lie
    there are ignored.

    Args:
        truth: The annotated objects.
        results: COCO records that were checked.
        iou_type: "bbox", "segm" or "keypoints", of which the similarity stands for the IoU.
        iou, background: The two limits.
        max_detections: Most detections that count per image and class.
        on_progress: Called after each image with 1.
    """
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    counted = np.zeros(len(truth.objects), dtype=bool)
    found = np.zeros(len(truth.objects), dtype=bool)
    for image in image_overlaps(truth, results, iou_type, max_detections=max_detections):
        partners, ignored = match_image(image, (iou,))
        faults, objects = _faults_of(image, partners[0], ignored[0], iou, background)
        counted[image.objects] = ~image.ignored
        found[objects[faults == RIGHT]] = True
        parts.append((image.detections, faults, objects))
        if on_progress:
            on_progress(1)
    places, faults, objects = (
        np.concatenate([np.zeros(0, dtype=np.int64), *(part[column] for part in parts)]) for column in range(3)
    )
    return DetectionFaults(
        detections=places,
        image_ids=np.array([results[i]["image_id"] for i in places], dtype=np.int64),
        categories=np.array([results[i]["category_id"] for i in places], dtype=np.int64),
        scores=np.array([results[i]["score"] for i in places], dtype=float),
        faults=faults,
        objects=objects,
        counted=counted,
        found=found,
        iou=iou,
    )


def _faults_of(
    image: Overlaps, partners: np.ndarray, ignored: np.ndarray, iou: float, background: float
) -> tuple[np.ndarray, np.ndarray]:
    """[D] faults and [D] objects of one image's detections."""
    counted = ~image.ignored
    objects, ious, same = image.objects[counted], image.ious[:, counted], image.same[:, counted]
    own, own_object = _best(np.where(same, ious, -1), objects)
    other, other_object = _best(np.where(same, -1, ious), objects)
    conditions = [
        ignored,
        partners >= 0,
        (own >= background) & (own < iou),
        other >= iou,
        own >= iou,
        other <= background,
    ]
    faults = np.select(
        conditions, [IGNORED, RIGHT, LOCALIZATION, CLASSIFICATION, DUPLICATE, BACKGROUND], CLASS_AND_PLACE
    )
    assigned = np.select(
        conditions[:5], [np.full_like(partners, -1), partners, own_object, other_object, own_object], -1
    )
    return faults, assigned


def _best(ious: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[D] best IoU of each row, -1 without any, and the object it is with."""
    if not ious.shape[1]:
        return np.full(len(ious), -1.0), np.full(len(ious), -1)
    best = ious.argmax(axis=1)
    return ious[np.arange(len(ious)), best], objects[best]


def best_score(detected: DetectionFaults) -> float:
    """The score threshold with the best F1 of all classes together: 2 right / (detections + objects).

    Where nothing is right it is the highest score, and 1 where there is no detection.
    """
    counts = detected.faults != IGNORED
    scores = -np.sort(-detected.scores[counts])
    if not len(scores):
        return 1.0
    right = (detected.faults[counts] == RIGHT)[np.argsort(-detected.scores[counts], kind="stable")].cumsum()
    last = np.append(np.diff(scores) != 0, True)
    f1 = 2 * right / (np.arange(1, len(scores) + 1) + detected.counted.sum())
    return float(scores[np.where(last, f1, -1).argmax()])
