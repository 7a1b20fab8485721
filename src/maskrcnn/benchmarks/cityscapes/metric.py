"""Cityscapes' average precision of instances, exactly as its `evalInstanceLevelSemanticLabeling.py` computes it
(https://github.com/mcordts/cityscapesScripts). It is not COCO's: every pixel of an object counts, precision is not
made monotone, and what is found on ignored pixels is left out by its share of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...data.readers.cityscapes import FIRST_OBJECT, IGNORED, LABELS, THINGS, VALUES
from ...evaluation.annotations import Size, rle_crop
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing

THRESHOLDS = np.arange(0.5, 1.0, 0.05)
SMALLEST = 100
"""Annotated objects with fewer pixels do not count."""
PROTOCOL = (
    "Cityscapes AP of masks at IoU above 0.50:0.05:0.95, objects of at least 100 pixels, any number of predictions, as "
    "evalInstanceLevelSemanticLabeling.py"
)


class Meeting(NamedTuple):
    """The regions and the predictions of one class in one image.

    Args:
        areas: [G] pixels of each annotated region of the class.
        single: [G] bool: it is one object, no group.
        scores: [P] of the predictions.
        sizes: [P] their pixels.
        void: [P] those of their pixels whose label is ignored.
        shared: [P, G] pixels of a prediction in a region.
    """

    areas: np.ndarray
    single: np.ndarray
    scores: np.ndarray
    sizes: np.ndarray
    void: np.ndarray
    shared: np.ndarray


class Matched(NamedTuple):
    """What predictions of a class came to at one threshold: scores [N], whether each found an object, and how many
    objects none found."""

    scores: np.ndarray
    right: np.ndarray
    missed: int


def instance_section(
    sizes: Mapping[int, Size], read: Callable[[int], np.ndarray], results: Results, say: Say = say_nothing
) -> Section:
    """Score masks.

    Args:
        sizes: (height, width) of each image by its id.
        read: Gives an image's map, [h, w] uint16 as in its instanceIds file.
        results: Masks with label ids; those of other labels than the eight things, and empty masks,
            are left out, as officially.
        say: Called with the image that is scored.
    """
    ap = instance_precisions(sizes, read, results, say)
    names = [LABELS[label] for label in THINGS]
    return Section(
        "instances",
        "masks",
        PROTOCOL,
        {"AP": _mean(ap), "AP50": _mean(ap[:, :1])},
        {name: {"AP": _mean(row), "AP50": _mean(row[:1])} for name, row in zip(names, ap, strict=True)},
    )


def instance_precisions(
    sizes: Mapping[int, Size], read: Callable[[int], np.ndarray], results: Results, say: Say = say_nothing
) -> np.ndarray:
    """[8, 10] average precision of each class at each threshold; NaN where there is nothing to find. See
    `instance_section`."""
    meetings: dict[int, list[Meeting]] = {label: [] for label in THINGS}
    for number, image_id in enumerate(sizes, start=1):
        say(f"masks of image {number} of {len(sizes)}")
        for label, meeting in _meet(read(image_id), results.by_image.get(image_id, [])).items():
            meetings[label].append(meeting)
    return np.array([[_precision(meetings[label], threshold) for threshold in THRESHOLDS] for label in THINGS])


def _meet(values: np.ndarray, records: Sequence[dict]) -> dict[int, Meeting]:
    areas = np.bincount(values.ravel(), minlength=VALUES)
    present = np.flatnonzero(areas)
    labels = np.where(present >= FIRST_OBJECT, present // FIRST_OBJECT, present)
    regions = {label: present[labels == label] for label in THINGS}
    rows: dict[int, list[tuple[float, int, int, np.ndarray]]] = {label: [] for label in THINGS}
    for record in records:
        label = record["category_id"]
        if label not in regions or record.get("segmentation") is None:
            continue
        x, y, bitmap = rle_crop(record["segmentation"])
        if bitmap.any():
            below = values[y : y + bitmap.shape[0], x : x + bitmap.shape[1]][bitmap]
            shared = np.bincount(below, minlength=VALUES)
            row = (record["score"], len(below), int(shared[list(IGNORED)].sum()), shared[regions[label]])
            rows[label].append(row)
    return {
        label: Meeting(
            areas=areas[regions[label]],
            single=regions[label] >= FIRST_OBJECT,
            scores=np.array([row[0] for row in rows[label]], dtype=np.float64),
            sizes=np.array([row[1] for row in rows[label]], dtype=np.int64),
            void=np.array([row[2] for row in rows[label]], dtype=np.int64),
            shared=np.array([row[3] for row in rows[label]], dtype=np.int64).reshape(
                len(rows[label]), len(regions[label])
            ),
        )
        for label in THINGS
    }


def _precision(meetings: Sequence[Meeting], threshold: float) -> float:
    """Average precision of one class; NaN if no image has an object of it that counts."""
    if not any(_counted(one).any() for one in meetings):
        return float("nan")
    matches = [_match(one, threshold) for one in meetings]
    scores, right = (np.concatenate(parts) for parts in zip(*[one[:2] for one in matches], strict=True))
    return area_below_curve(scores, right, sum(one.missed for one in matches))


def _counted(meeting: Meeting) -> np.ndarray:
    return meeting.single & (meeting.areas >= SMALLEST)


def _match(meeting: Meeting, threshold: float) -> Matched:
    unions = meeting.areas[None] + meeting.sizes[:, None] - meeting.shared
    fits = meeting.shared / unions > threshold
    scores: list[float] = []
    right: list[bool] = []
    missed = 0
    for region in np.flatnonzero(_counted(meeting)):
        candidates = sorted(meeting.scores[fits[:, region]].tolist(), reverse=True)
        missed += not candidates
        scores += candidates
        right += [place == 0 for place in range(len(candidates))]
    uncounted = (~meeting.single).astype(np.int64) + (meeting.areas < SMALLEST)  # small groups twice, as officially
    ignored = (meeting.void + meeting.shared @ uncounted) / meeting.sizes
    wrong = meeting.scores[~fits.any(axis=1) & (ignored <= threshold)].tolist()
    return Matched(np.array(scores + wrong), np.array(right + [False] * len(wrong), dtype=bool), missed)


def area_below_curve(scores: np.ndarray, right: np.ndarray, missed: int) -> float:
    """Sum of precision times width over the points of the curve: one for each score that occurs, and precision 1 at
    recall 0. A point's width in recall is half the way from its neighbor on one side to that on the other.

    Args:
        scores: [N] of the predictions that count.
        right: [N] bool: it found an object.
        missed: Objects that were not found; with those found at least 1.
    """
    if not len(scores):
        return 0.0
    order = np.argsort(scores)
    _, first = np.unique(scores[order], return_index=True)
    below = np.concatenate([[0], np.cumsum(right[order])])
    found = below[-1] - below[first]
    precision = found / (len(scores) - first)
    recall = found / (below[-1] + missed)
    widths = np.convolve([recall[0], *recall, 0.0, 0.0], [-0.5, 0.0, 0.5], "valid")
    return float(np.append(precision, 1.0) @ widths)


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
