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
from .faults import CLASSIFICATION, FAULT_TITLES, FAULTS, IGNORED, RIGHT, Fault, Verdicts

MOST_NAMED = 3

Verdict = Fault | Literal["right", "ignored"]


@dataclass(frozen=True)
class ImageErrors:
    """What went wrong in an image, as seen from some score on.

    Args:
        image_id: The image.
        detections: Places in the results of the detections from that score on, the best first.
        verdicts: What is wrong with each, or "right", or "ignored" where nothing need be found.
        meant: Place in the truth's objects of what each found, found again or is meant for; -1: nothing.
        missed: Places in the truth's objects of those that nobody found or meant.
    """

    image_id: int
    detections: list[int]
    verdicts: list[Verdict]
    meant: list[int]
    missed: list[int]

    @property
    def errors(self) -> int:
        """How many there are."""
        return len(self.missed) + sum(verdict in FAULTS for verdict in self.verdicts)


def worst_images(truth: Annotations, verdicts: Verdicts, score: float, most: int) -> list[ImageErrors]:
    """The images with the most errors, wrong detections from a score on and missed objects; without errors none.

    Args:
        truth: What was judged.
        verdicts: What `judge_results` says.
        score: Least score of the detections that are looked at, such as `best_score`.
        most: How many images; of equally bad ones those with the lower ids.
    """
    missed: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(verdicts.missed_from(score)).tolist():
        missed[truth.objects[place]["image_id"]].append(place)
    shown = np.flatnonzero(verdicts.scores >= score)
    wrong = Counter(verdicts.image_ids[shown[verdicts.faults[shown] >= 0]].tolist())
    totals = {image_id: wrong[image_id] + len(missed[image_id]) for image_id in truth.sizes}
    worst = sorted((image_id for image_id, total in totals.items() if total), key=lambda one: (-totals[one], one))
    found = []
    for image_id in worst[:most]:
        places = shown[verdicts.image_ids[shown] == image_id]
        judged = [_verdict(code) for code in verdicts.faults[places].tolist()]
        objects = verdicts.objects[places].tolist()
        found.append(ImageErrors(image_id, verdicts.detections[places].tolist(), judged, objects, missed[image_id]))
    return found


def _verdict(code: int) -> Verdict:
    if code == RIGHT:
        return "right"
    return "ignored" if code == IGNORED else FAULTS[code]


def describe_errors(truth: Annotations, results: Results, errors: ImageErrors) -> str:
    """What went wrong in an image, such as `missed 2 (car, person); wrong class 1 (dog for cat)`.

    Args:
        truth, results: What was judged.
        errors: Of the image.
    """
    named: dict[Fault, list[str]] = defaultdict(list)
    named["missed"] = [truth.categories[truth.objects[place]["category_id"]] for place in errors.missed]
    for place, verdict, meant in zip(errors.detections, errors.verdicts, errors.meant, strict=True):
        name = truth.categories[results[place]["category_id"]]
        if verdict == FAULTS[CLASSIFICATION]:
            name += f" for {truth.categories[truth.objects[meant]['category_id']]}"
        if verdict != "right" and verdict != "ignored":
            named[verdict].append(name)
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
