"""Where the average precision goes: what each kind of error costs (TIDE, Bolya et al. 2020)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ..evaluation.annotations import Annotations
from ..evaluation.coco import TITLES, unique_names
from ..evaluation.results import IouType
from .faults import (
    CLASSIFICATION,
    FAULT_TITLES,
    FAULTS,
    IGNORED,
    LOCALIZATION,
    RIGHT,
    DetectionFaults,
    Fault,
    best_score,
)
from .matching import average_precision

MOST_CLASSES = 10
OF_SEVERAL_CLASSES = ("classification", "class_and_place")
MISSED = FAULTS.index("missed")

ByFault = dict[Fault, float]


@dataclass(frozen=True)
class Losses:
    """What errors cost a class, or all classes together.

    Args:
        ap: Average precision at one IoU.
        alone: What it would rise by if only this kind of error were put right; TIDE's dAP, at least 0.
        shares: What it rises by when this kind is put right after those before it in `FAULTS`. They add up to 1 - ap.
        counts: Errors of each, at any score. One with a wrong class counts at the class that was given.
        shown: Those from the score threshold on, see `AnalyzedErrors`.
    """

    ap: float
    alone: ByFault
    shares: ByFault
    counts: dict[Fault, int]
    shown: dict[Fault, int]


@dataclass(frozen=True)
class AnalyzedErrors:
    """The missing average precision of boxes, masks or keypoints, split by kinds of errors.

    Args:
        iou: From which IoU on an object is found.
        score: The score threshold with the best F1.
        whole: Mean over the classes that have objects; None if none has.
        per_class: By class name, the one with the most missing first.
    """

    iou: float
    score: float
    whole: Losses | None
    per_class: dict[str, Losses]


def analyze_errors(truth: Annotations, detected: DetectionFaults) -> AnalyzedErrors:
    """Split the missing average precision by putting errors right.

    A detection with a wrong class or place becomes right, at its score, if its object was not found and no better one
    is assigned to it; otherwise it is taken out, as duplicates and what is found in the background are. Missed objects
    need not be found any more. A class that then has no object left has an AP of 1, or of 0 if it has a wrong
    detection.

    Args:
        truth: What is analyzed.
        detected: What `find_faults` says.
    """
    categories = sorted(truth.categories)
    names = unique_names(truth.categories)
    tally = _Tally(truth, detected, categories)
    before = tally.precision([])
    gains = np.array([tally.precision([fault]) - before for fault in range(len(FAULTS))])
    steps = [before, *(tally.precision(range(last + 1)) for last in range(len(FAULTS)))]
    shares = np.diff(steps, axis=0)
    score = best_score(detected)
    counts, shown = tally.counts(-np.inf), tally.counts(score)
    there = [k for k in range(len(categories)) if not np.isnan(before[k])]
    per_class = {
        names[categories[k]]: _losses(before[k], gains[:, k], shares[:, k], counts[:, k], shown[:, k])
        for k in sorted(there, key=lambda k: (before[k], categories[k]))
    }
    whole = None
    if there:
        mean, gain, share = (values[..., there].mean(axis=-1) for values in (before, gains, shares))
        whole = _losses(mean, gain, share, counts.sum(axis=1), shown.sum(axis=1))
    return AnalyzedErrors(detected.iou, score, whole, per_class)


class _Tally:
    """The detections in the order of their scores, and what becomes of them when errors are put right."""

    def __init__(self, truth: Annotations, detected: DetectionFaults, categories: list[int]) -> None:
        order = np.argsort(-detected.scores, kind="stable")
        order = order[detected.faults[order] != IGNORED]
        self._scores, self._faults = detected.scores[order], detected.faults[order]
        self._detected = detected
        own = np.array([one["category_id"] for one in truth.objects], dtype=np.int64)
        self._objects = np.searchsorted(categories, own)
        self._classes = np.searchsorted(categories, detected.categories[order])
        self._count = len(categories)
        assigned = np.isin(self._faults, (CLASSIFICATION, LOCALIZATION))
        objects = detected.objects[order]
        free = np.flatnonzero(assigned)[~detected.found[objects[assigned]]]
        _, first = np.unique(objects[free], return_index=True)
        self._mended = np.zeros(len(order), dtype=bool)
        self._mended[free[first]] = True
        self._mended_classes = self._classes.copy()
        self._mended_classes[self._mended] = self._objects[objects[self._mended]]

    def precision(self, mended: Collection[int]) -> np.ndarray:
        """[K] average precision after errors of some kinds are put right; NaN where a class has no object."""
        chosen = np.isin(self._faults, list(mended))
        right = (self._faults == RIGHT) | (chosen & self._mended)
        kept = ~chosen | right
        classes = np.where(chosen, self._mended_classes, self._classes)
        counted = self._per_class(self._objects[self._detected.counted])
        missed = self._per_class(self._objects[self._detected.missed]) if MISSED in mended else 0
        found = [_precision(right[kept & (classes == k)], n) for k, n in enumerate(counted - missed)]
        return np.where(counted > 0, found, np.nan)

    def counts(self, score: float) -> np.ndarray:
        """[6, K] errors of each kind of detections with at least a score."""
        shown = self._scores >= score
        rows = [self._per_class(self._classes[shown & (self._faults == fault)]) for fault in range(MISSED)]
        return np.array([*rows, self._per_class(self._objects[self._detected.missed_from(score)])])

    def _per_class(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes, minlength=self._count)


def _precision(right: np.ndarray, positives: int) -> float:
    """Of one class' detections, the best first, of which some are right."""
    if not positives:
        return 0.0 if len(right) else 1.0
    places = np.flatnonzero(right)
    until = np.arange(1, len(places) + 1)
    return float(average_precision(until[:, None], places[:, None] + 1, np.array([positives]))[0])


def _losses(ap: float, gains: np.ndarray, shares: np.ndarray, counts: np.ndarray, shown: np.ndarray) -> Losses:
    return Losses(
        float(ap),
        dict(zip(FAULTS, np.maximum(gains, 0).tolist(), strict=True)),
        dict(zip(FAULTS, shares.tolist(), strict=True)),
        dict(zip(FAULTS, counts.tolist(), strict=True)),
        dict(zip(FAULTS, shown.tolist(), strict=True)),
    )


def errors_report(analyzed: AnalyzedErrors) -> dict[str, Any]:
    """What was found for a JSON file; per class in the same terms."""
    return {
        "protocol": f"TIDE at IoU {analyzed.iou:g}, matched and AP as in COCO; errors put right in the order "
        f"{', '.join(FAULTS)}, so that their shares add up to 1 - ap",
        "score_threshold": analyzed.score,
        "all": None if analyzed.whole is None else asdict(analyzed.whole),
        "per_class": {name: asdict(losses) for name, losses in analyzed.per_class.items()},
    }


def errors_tables(analyzed: AnalyzedErrors, iou_type: IouType) -> Group:
    """What was found for the terminal: a line for each kind of error, then the classes that miss most."""
    whole = analyzed.whole
    if whole is None:
        return Group(Text(f"Errors of {TITLES[iou_type]}: there is no object to find"))
    missing = f"AP{100 * analyzed.iou:.0f} {100 * whole.ap:.1f}, missing {100 * (1 - whole.ap):.1f}"
    headings = ("AP lost", "if only this were right", "errors", f"of them from score {analyzed.score:.2f}")
    table = Table("error", *[Column(heading, justify="right") for heading in headings], show_footer=True)
    several = len(analyzed.per_class) > 1
    possible = [fault for fault in FAULTS if several or whole.counts[fault] or fault not in OF_SEVERAL_CLASSES]
    for fault in possible:
        numbers = f"{100 * whole.shares[fault]:.1f}", f"+{100 * whole.alone[fault]:.1f}"
        table.add_row(FAULT_TITLES[fault], *numbers, str(whole.counts[fault]), str(whole.shown[fault]))
    parts: list[RenderableType] = [Text(f"Errors of {TITLES[iou_type]}: {missing}", style="bold"), table]
    table.columns[0].footer, table.columns[1].footer = "together", f"{100 * (1 - whole.ap):.1f}"
    table.columns[3].footer, table.columns[4].footer = str(sum(whole.counts.values())), str(sum(whole.shown.values()))
    if several:
        parts += [Text("AP lost of the classes that miss most"), _classes_table(analyzed)]
    return Group(*parts)


def _classes_table(analyzed: AnalyzedErrors) -> Table:
    headings = (f"AP{100 * analyzed.iou:.0f}", *(FAULT_TITLES[fault].replace(" ", "\n") for fault in FAULTS))
    columns = [Column(heading, justify="right", no_wrap=True) for heading in headings]
    table = Table(Column("class", overflow="fold"), *columns)  # in 80 columns, whatever the classes are called
    for name, losses in list(analyzed.per_class.items())[:MOST_CLASSES]:
        shares = [f"{100 * losses.shares[fault]:.1f}" for fault in FAULTS]
        table.add_row(Text(name), f"{100 * losses.ap:.1f}", *shares)
    return table
