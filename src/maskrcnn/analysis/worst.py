"""The images with the most errors, and what went wrong there in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from rich.table import Column, Table
from rich.text import Text

from ..evaluation.annotations import Annotations
from ..evaluation.results import Results
from .faults import CLASSIFICATION, FAULT_TITLES, FAULTS, IGNORED, RIGHT, DetectionFaults, Fault

MOST_NAMED = 3

FaultOrRight = Fault | Literal["right", "ignored"]


@dataclass(frozen=True)
class ImageErrors:
    """What went wrong in an image, as seen from some score on.

    Args:
        image_id: The image.
        detections: Places in the results of the detections from that score on, the best first.
        faults: What is wrong with each, or "right", or "ignored" where nothing need be found.
        assigned: Place in the truth's objects of what each found, found again or is assigned to; -1: nothing.
        missed: Places in the truth's objects of those that no detection found or is assigned to.
    """

    image_id: int
    detections: list[int]
    faults: list[FaultOrRight]
    assigned: list[int]
    missed: list[int]

    @property
    def errors(self) -> int:
        """How many there are."""
        return len(self.missed) + sum(fault in FAULTS for fault in self.faults)


def worst_images(truth: Annotations, detected: DetectionFaults, score: float, most: int) -> list[ImageErrors]:
    """The images with the most errors, wrong detections from a score on and missed objects; without errors none.

    Args:
        truth: What is analyzed.
        detected: What `find_faults` says.
        score: Least score of the detections that are looked at, such as `best_score`.
        most: How many images; of equally bad ones those with the lower ids.
    """
    missed: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(detected.missed_from(score)).tolist():
        missed[truth.objects[place]["image_id"]].append(place)
    shown = np.flatnonzero(detected.scores >= score)
    wrong = Counter(detected.image_ids[shown[detected.faults[shown] >= 0]].tolist())
    totals = {image_id: wrong[image_id] + len(missed[image_id]) for image_id in truth.sizes}
    worst = sorted((image_id for image_id, total in totals.items() if total), key=lambda one: (-totals[one], one))
    found = []
    for image_id in worst[:most]:
        places = shown[detected.image_ids[shown] == image_id]
        faults = [_fault_of(code) for code in detected.faults[places].tolist()]
        objects = detected.objects[places].tolist()
        found.append(ImageErrors(image_id, detected.detections[places].tolist(), faults, objects, missed[image_id]))
    return found


def _fault_of(code: int) -> FaultOrRight:
    if code == RIGHT:
        return "right"
    return "ignored" if code == IGNORED else FAULTS[code]


def describe_errors(truth: Annotations, results: Results, errors: ImageErrors) -> str:
    """What went wrong in an image, such as `missed 2 (car, person); wrong class 1 (dog for cat)`.

    Args:
        truth, results: What is analyzed.
        errors: Of the image.
    """
    named: dict[Fault, list[str]] = defaultdict(list)
    named["missed"] = [truth.categories[truth.objects[place]["category_id"]] for place in errors.missed]
    for place, fault, assigned in zip(errors.detections, errors.faults, errors.assigned, strict=True):
        name = truth.categories[results[place]["category_id"]]
        if fault == FAULTS[CLASSIFICATION]:
            name += f" for {truth.categories[truth.objects[assigned]['category_id']]}"
        if fault != "right" and fault != "ignored":
            named[fault].append(name)
    several = len(truth.categories) > 1
    parts = [
        f"{FAULT_TITLES[fault]} {len(names)}" + (f" ({_list(names)})" if several else "")
        for fault, names in sorted(named.items(), key=lambda item: -len(item[1]))
        if names
    ]
    return "; ".join(parts)


def _list(names: list[str]) -> str:
    """The most frequent names with their numbers."""
    counts = Counter(names).most_common()
    shown = [name if count == 1 else f"{count} {name}" for name, count in counts[:MOST_NAMED]]
    return ", ".join([*shown, "..."] if len(counts) > MOST_NAMED else shown)


def worst_report(truth: Annotations, results: Results, worst: Sequence[ImageErrors]) -> list[dict[str, Any]]:
    """The images for a JSON file: `image_id`, number of `errors`, and `what` in words."""
    return [
        {"image_id": one.image_id, "errors": one.errors, "what": describe_errors(truth, results, one)} for one in worst
    ]


def worst_table(report: Sequence[dict[str, Any]], score: float) -> Table:
    """What `worst_report` returns, for the terminal.

    Args:
        report: The images; those that have a `image` go by this name, others by their id.
        score: From which score on detections were looked at.
    """
    title = f"Images with the most errors, detections from a score of {score:.2f}"
    table = Table("image", Column("errors", justify="right"), "what", title=title, title_justify="left")
    for one in report:
        name = one.get("image", f"image {one['image_id']}")
        table.add_row(Text(name), str(one["errors"]), Text(one["what"]))
    return table
