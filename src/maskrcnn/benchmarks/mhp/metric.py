"""AP^p and PCP of Multi-Human Parsing v2: people with every pixel's backbone part or piece of clothing.

Zhao et al. 2018, Understanding Humans in Crowded Scenes; https://github.com/ZhaoJ9014/Multi-Human-Parsing,
Evaluation/Multi-Human-Parsing/v2/eval_mhp.py. It is not COCO's AP: a found person goes to the annotated one it fits
best, even if that one is taken, and fit is the mean IoU of all parts that either has, background included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...evaluation.sections import Section

PARTS = (
    *("cap/hat", "helmet", "face", "hair", "left-arm", "right-arm", "left-hand", "right-hand", "protector"),
    *("bikini/bra", "jacket/windbreaker/hoodie", "t-shirt", "polo-shirt", "sweater", "singlet", "torso-skin", "pants"),
    *("shorts/swim-shorts", "skirt", "stockings", "socks", "left-boot", "right-boot", "left-shoe", "right-shoe"),
    *("left-highheel", "right-highheel", "left-sandal", "right-sandal", "left-leg", "right-leg", "left-foot"),
    *("right-foot", "coat", "dress", "robe", "jumpsuit", "other-full-body-clothes", "headwear", "backpack", "ball"),
    *("bats", "belt", "bottle", "carrybag", "cases", "sunglasses", "eyewear", "glove", "scarf", "umbrella"),
    *("wallet/purse", "watch", "wristband", "tie", "other-accessary", "other-upper-body-clothes"),
    "other-lower-body-clothes",
)
"""Names of the parts 1 to 58; 0 is background."""
VALUES = len(PARTS) + 1
THRESHOLDS = tuple(step / 10 for step in range(1, 10))
PROTOCOL = (
    "MHP v2's own: AP^p at a mean part IoU above 0.5 (vol: mean over 0.1 to 0.9), area under the monotone "
    "precision-recall curve; PCP: share of a found person's parts with an IoU above 0.5; no limit of detections"
)


class PartImage(NamedTuple):
    """One image's people as label maps.

    Args:
        people: [H, W] uint8 of each annotated person, 0 background and 1 to 58 parts; those without a pixel do not
            count, and larger values are pixels that do not.
        found: [H, W] uint8 of each predicted person, 0 to 58.
        scores: Of the predicted people.
    """

    people: Sequence[np.ndarray]
    found: Sequence[np.ndarray]
    scores: Sequence[float]


class PartScores(NamedTuple):
    """AP^p and PCP by threshold; None where no person is annotated."""

    precision: dict[float, float | None]
    parts: dict[float, float | None]


class _Best(NamedTuple):
    """The annotated person that a predicted one fits best.

    Args:
        person: Its number in the whole dataset; -1: the image has none.
        overlap: Mean IoU of parts and background.
        shares: [T] share of its parts with an IoU above each threshold.
    """

    score: float
    person: int
    overlap: float
    shares: np.ndarray


class _Person(NamedTuple):
    """Pixels of a label map.

    Args:
        values: [H * W] of the map.
        places: [P] pixels with a part.
        counts: [59] pixels by value; of the background 0.
    """

    values: np.ndarray
    places: np.ndarray
    counts: np.ndarray


def mhp_scores(images: Iterable[PartImage]) -> PartScores:
    """Score people with their parts as the official script does.

    Equal scores keep their order (the script's sort may change it), and without a single prediction the scores are 0
    (the script stops).

    Args:
        images: Of the whole dataset; one at a time is in memory.
    """
    bests: list[_Best] = []
    people = 0
    for image in images:
        annotated = [person for person in map(_person, image.people) if len(person.places)]
        for found, score in zip(image.found, image.scores, strict=True):
            bests.append(_best(_person(found), score, annotated, people))
        people += len(annotated)
    bests.sort(key=lambda best: -best.score)
    if not people:
        return PartScores(dict.fromkeys(THRESHOLDS), dict.fromkeys(THRESHOLDS))
    shares = np.array([best.shares for best in bests]).reshape(-1, len(THRESHOLDS))
    right = {threshold: _right(bests, threshold) for threshold in THRESHOLDS}
    return PartScores(
        {threshold: _average_precision(each, people) for threshold, each in right.items()},
        {threshold: float(shares[each, t].sum() / people) for t, (threshold, each) in enumerate(right.items())},
    )


def mhp_section(images: Iterable[PartImage]) -> Section:
    """The scores of `mhp_scores` as a section of a report; one row for each threshold."""
    scores = mhp_scores(images)
    precisions = [value for value in scores.precision.values() if value is not None]
    numbers = {
        "AP_p_0_5": scores.precision[0.5],
        "AP_p_vol": float(np.mean(precisions)) if precisions else None,
        "PCP_0_5": scores.parts[0.5],
    }
    rows = {f"above {t}": {"AP_p": scores.precision[t], "PCP": scores.parts[t]} for t in THRESHOLDS}
    return Section("parts", "people with parts", PROTOCOL, numbers, rows, row="mean part IoU")


def _person(label_map: np.ndarray) -> _Person:
    values = label_map.ravel()
    places = np.flatnonzero(values)
    counts = np.bincount(values[places], minlength=VALUES)
    return _Person(values, places, counts)


def _best(found: _Person, score: float, people: Sequence[_Person], first: int) -> _Best:
    """The best of an image's people, whose numbers start at `first`; of equally good ones the first."""
    ious = np.array([_ious(found, person) for person in people]).reshape(-1, VALUES)
    if not len(ious):
        return _Best(score, -1, -np.inf, np.zeros(len(THRESHOLDS)))
    overlaps = np.nanmean(ious, axis=1)
    best = int(overlaps.argmax())
    parts = np.count_nonzero(people[best].counts[1:VALUES])
    above = (ious[best, 1:, None] > np.array(THRESHOLDS)).sum(axis=0)  # false for NaN
    return _Best(score, first + best, float(overlaps[best]), above / max(1, parts) * (parts > 0))


def _ious(found: _Person, person: _Person) -> np.ndarray:
    """[59] IoU of background and of each part; NaN where neither has a pixel of it."""
    beneath, values = person.values[found.places], found.values[found.places]
    counted = beneath < VALUES
    ours = np.bincount(values[counted], minlength=VALUES)
    theirs = person.counts[:VALUES].copy()
    shared = np.bincount(values[counted & (beneath == values)], minlength=VALUES)
    pixels = len(person.values) - person.counts[VALUES:].sum()
    ours[0], theirs[0] = pixels - ours.sum(), pixels - theirs.sum()
    shared[0] = ours[0] - (theirs[1:].sum() - np.count_nonzero(counted & (beneath > 0)))
    with np.errstate(invalid="ignore"):
        return shared / (ours + theirs - shared)


def _right(bests: Sequence[_Best], threshold: float) -> np.ndarray:
    """[D] whether each prediction, by falling score, is the first that fits its person."""
    fitting = np.array([place for place, best in enumerate(bests) if best.overlap > threshold], dtype=np.int64)
    _, first = np.unique([bests[place].person for place in fitting], return_index=True)
    right = np.zeros(len(bests), dtype=bool)
    right[fitting[first]] = True
    return right


def _average_precision(right: np.ndarray, people: int) -> float:
    """Area under the precision-recall curve, made to fall only (PASCAL VOC from 2010 on)."""
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / people)
