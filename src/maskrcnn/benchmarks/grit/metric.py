"""GRIT's scores of one answer: boxes or masks of all objects that a query names.

Gupta et al. 2022, GRIT; https://github.com/allenai/grit_official, metrics/localization.py and segmentation.py. Objects
are paired so that their IoU is largest in sum; what stays alone on either side counts against the answer, so that the
score threshold of the predictions matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from faster_coco_eval.core import mask as coco_mask
from scipy.optimize import linear_sum_assignment
from scipy.stats import t as student

from ...evaluation.sections import Numbers, Say, Section, say_nothing

STUFF = "(Stuff)"
"""In a query: its masks count together, not as objects."""
MARGIN = 1e-6
TASKS = {
    "categorization": "cat",
    "localization": "loc",
    "vqa": "vqa",
    "refexp": "ref",
    "segmentation": "seg",
    "keypoint": "kp",
    "normal": "sn",
}
"""All of GRIT, and how each is called in the names of numbers; those that were not answered count 0 in `all`."""
CONCEPT_GROUPS = (
    *("people", "body_parts", "birds", "animals", "plants", "furniture", "structure", "clothing"),
    *("clothing_accessories", "vehicles", "transport_infrastructure", "musical_instruments", "food", "beverages"),
    *("technology", "bathroom_objects", "kitchen_objects", "household_objects", "stationery", "sports_equipment"),
    *("places", "tools", "brands", "natural_landscape"),
)
MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "acc": lambda accuracy, confidence: 100 * accuracy,
    "inf": lambda accuracy, confidence: 100 * confidence * accuracy,
    "misinf": lambda accuracy, confidence: 100 * confidence * (1 - accuracy),
    "conf": lambda accuracy, confidence: 100 * confidence,
    "sa": lambda accuracy, confidence: 100 * (confidence * accuracy + (1 - confidence) * (1 - accuracy)),
    "rmse": lambda accuracy, confidence: (100 * (confidence - accuracy)) ** 2,
}
"""Accuracy, knowledge, misinformation, confidence, self-awareness, error of the confidence (its root is taken last)."""
SOURCES = ("sameSrc", "newSrc")
PARTITIONS = (*SOURCES, "sameCpt", "newCpt", "dist", "undist", "deldist")
"""Samples by source and by class, distorted ones, their undistorted twins, and the loss from these to those."""
PROTOCOL = (
    "GRIT's evaluate.py: IoU of the best pairs in sum by pairs and objects that stay alone, mean over samples; `mean` "
    "is that of the same and the new sources, `all_samples` is not GRIT's. {}"
)
MEASURES_PROTOCOL = "GRIT's evaluate.py: each measure as the mean of the same and the new sources; rows are partitions"
OVERALL = "GRIT's evaluate.py: mean over 7 tasks and 2 sources; tasks that were not answered count 0"
DISTORTED = "_dist"
NORMAL = 1.96


class GritSample(NamedTuple):
    """A question and what is known of it.

    Args:
        example_id: Its name; that of a distorted image ends in `_dist`.
        query: The name of what is to be found.
        objects: Boxes x1, y1, x2, y2 or RLE of what is there; None: not public.
        groups: Concept groups that the query belongs to.
        new_source: It comes from a dataset that is not the task's usual one.
        new_concept: The usual one does not have the class.
        distorted: The image is.
    """

    example_id: str
    query: str
    objects: Sequence[Any] | None
    groups: frozenset[str] = frozenset()
    new_source: bool = False
    new_concept: bool = False
    distorted: bool = False


class GritAnswer(NamedTuple):
    """An answer: how sure the model is of all of it, 0 to 1, and boxes x1, y1, x2, y2 or RLE."""

    confidence: float
    objects: Sequence[Any]


def sample_score(task: str, sample: GritSample, answer: GritAnswer) -> float:
    """Accuracy of an answer in 0..1.

    Args:
        task: "localization" or "segmentation".
        sample: With its objects.
        answer: The answer to it.
    """
    truth = sample.objects or ()
    if task == "localization":
        return box_score(answer.objects, truth)
    found, masks = ([coco_mask.decode(each) for each in objects] for objects in (answer.objects, truth))
    return mask_score(found, masks, stuff=STUFF in sample.query)


def box_score(found: Sequence[Sequence[float]], truth: Sequence[Sequence[float]]) -> float:
    """Sum of the pairs' IoU by the number of pairs and objects that stay alone.

    Args:
        found: P boxes x1, y1, x2, y2; those without width or height have the area 0.
        truth: G boxes.

    Returns:
        1 if there are neither, 0 if only one side has any.
    """
    ours, theirs = (np.array(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (found, truth))
    corners = np.concatenate(
        [np.maximum(ours[:, None, :2], theirs[None, :, :2]), np.minimum(ours[:, None, 2:], theirs[None, :, 2:])], axis=2
    )
    shared = _areas(corners)
    ious = shared / (_areas(ours)[:, None] + _areas(theirs)[None] - shared + MARGIN)
    return _score(ious, 1 - ious)


def mask_score(found: Sequence[np.ndarray], truth: Sequence[np.ndarray], *, stuff: bool) -> float:
    """The same of masks.

    Args:
        found: P bitmaps uint8; those of another size than the truth's are scaled to it.
        truth: G bitmaps uint8.
        stuff: All masks of each side count as one; without any annotated the score is 0, whatever is found.
    """
    if stuff and not truth:
        return 0.0
    if stuff and found:
        size = truth[0].shape
        found = [np.logical_or.reduce([_scaled(mask, size) for mask in found]).astype(np.uint8)]
        truth = [np.logical_or.reduce([_scaled(mask, size) for mask in truth]).astype(np.uint8)]
    ious = np.array([[_mask_iou(ours, theirs) for theirs in truth] for ours in found]).reshape(len(found), len(truth))
    return _score(ious, -ious)


def _areas(boxes: np.ndarray) -> np.ndarray:
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width > 0) & (height > 0), width * height, 0.0)


def _mask_iou(found: np.ndarray, truth: np.ndarray) -> float:
    ours, theirs = _scaled(found, truth.shape) > 0, truth > 0
    return float((ours & theirs).sum() / ((ours | theirs).sum() + MARGIN))


def _scaled(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return mask if mask.shape == size else cv2.resize(mask, size[::-1])


def _score(ious: np.ndarray, costs: np.ndarray) -> float:
    """Of [P, G] overlaps."""
    found, truth = ious.shape
    if not found or not truth:
        return float(found == truth)
    overlaps = ious[linear_sum_assignment(costs)]
    pairs = np.count_nonzero(overlaps > 0)
    return float(overlaps.sum() / (found + truth - pairs))


class Estimate(NamedTuple):
    """A mean, its 95 % interval, the variance of what it is the mean of, and how many these are."""

    mean: float
    lower: float
    upper: float
    variance: float
    samples: int


class _Task(NamedTuple):
    """The answers to the samples of a task: [N] arrays; twins are places of an undistorted sample and its distorted."""

    values: dict[str, np.ndarray]
    chosen: dict[str, np.ndarray]
    twins: np.ndarray
    groups: list[frozenset[str]]


def grit_numbers(
    samples: Mapping[str, Sequence[GritSample]],
    answers: Mapping[str, Mapping[str, GritAnswer]],
    scores: Mapping[str, Sequence[float]],
) -> dict[str, float]:
    """All numbers of evaluate.py but the count of parameters.

    Numbers of partitions with fewer than two samples are left out, and `all` where an answered task lacks its number
    (evaluate.py stops).

    Args:
        samples: By task: "localization", "segmentation".
        answers: By task and example, for all samples of a task; a task that is not there was not answered.
        scores: Accuracy of each sample of the answered tasks, in their order (`sample_score`).

    Returns:
        In percent, rounded to four decimals.
    """
    tasks = {task: _task(samples[task], answers[task], scores[task]) for task in TASKS if task in answers}
    numbers: dict[str, float] = {}
    for measure in MEASURES:
        parts: dict[str, dict[str, Estimate | None]] = {}
        for task, found in tasks.items():
            parts[task] = {name: _of_partition(found, measure, name) for name in _partitions(measure)}
            for partition, estimate in parts[task].items():
                numbers |= _told(measure, "any", partition, TASKS[task], estimate)
            both = [parts[task][source] for source in SOURCES]
            numbers |= _told(measure, "any", "agg", TASKS[task], _joined(both), counted=False)
        for partition in ("agg", *SOURCES, "dist", "undist", "deldist"):
            names = SOURCES if partition == "agg" else (partition,)
            if partition == "agg" or partition in _partitions(measure):
                each = [parts[task][name] if task in parts else ABSENT for task in TASKS for name in names]
                numbers |= _told(measure, "any", partition, "all", _joined(each), counted=False)
    for task, found in tasks.items():
        for group in CONCEPT_GROUPS:
            member = np.array([group in groups for groups in found.groups], dtype=bool)
            both = [_of_partition(found, "acc", source, member) for source in SOURCES]
            numbers |= _told("acc", group, "agg", TASKS[task], _joined(both), counted=False)
    overall = {name.rpartition(".")[2]: value for name, value in numbers.items() if name.startswith("acc.any.agg.all.")}
    return numbers | {f"overall.{statistic}": value for statistic, value in overall.items()}


ABSENT = Estimate(0.0, 0.0, 0.0, 0.0, 100)
"""What a task that was not answered counts as."""


def _partitions(measure: str) -> tuple[str, ...]:
    return PARTITIONS if measure != "rmse" else PARTITIONS[:-1]


def _task(samples: Sequence[GritSample], answers: Mapping[str, GritAnswer], scores: Sequence[float]) -> _Task:
    accuracy = np.array(scores, dtype=np.float64)
    confidence = np.array([answers[sample.example_id].confidence for sample in samples], dtype=np.float64)
    source, concept, distorted = (
        np.array([getattr(sample, name) for sample in samples], dtype=bool)
        for name in ("new_source", "new_concept", "distorted")
    )
    places = {sample.example_id: place for place, sample in enumerate(samples)}
    pairs = [
        (places[sample.example_id[: -len(DISTORTED)]], place)
        for place, sample in enumerate(samples)
        if sample.distorted and sample.example_id[: -len(DISTORTED)] in places
    ]
    twins = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    is_twin = np.zeros(len(samples), dtype=bool)
    is_twin[twins[:, 0]] = True
    chosen = {"sameSrc": ~source & ~distorted, "newSrc": source & ~distorted}
    chosen |= {"sameCpt": ~concept & ~distorted, "newCpt": concept & ~distorted, "dist": distorted, "undist": is_twin}
    values = {measure: compute(accuracy, confidence) for measure, compute in MEASURES.items()}
    return _Task(values, chosen, twins, [sample.groups for sample in samples])


def _of_partition(task: _Task, measure: str, partition: str, member: np.ndarray | None = None) -> Estimate | None:
    """The estimate of a partition's samples, of those that are `member` [N]; None with fewer than two."""
    values = task.values[measure]
    if partition == "deldist":
        values = values[task.twins[:, 0]] - values[task.twins[:, 1]]
    else:
        values = values[task.chosen[partition] if member is None else task.chosen[partition] & member]
    count = len(values)
    if count < 2:
        return None
    mean, variance = values.mean(), values.var(ddof=1)
    lower, upper = student.interval(0.95, count - 1, mean, np.sqrt(variance / count) + 1e-6)
    return Estimate(float(mean), float(lower), float(upper), float(variance), count)


def _joined(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of several means; None if one of them is missing."""
    known = [estimate for estimate in estimates if estimate is not None]
    if len(known) < len(estimates):
        return None
    error = np.sqrt(np.sum([each.variance / each.samples for each in known])) / len(known)
    mean = np.mean([each.mean for each in known])
    return Estimate(float(mean), float(mean - NORMAL * error), float(mean + NORMAL * error), 0.0, 0)


def _told(
    measure: str, group: str, partition: str, task: str, estimate: Estimate | None, *, counted: bool = True
) -> dict[str, float]:
    """The numbers of an estimate by their names, bounded and rounded as evaluate.py does."""
    if estimate is None:
        return {}
    name = f"{measure}.{group}.{partition}.{task}"
    mean, lower, upper = estimate[:3]
    if measure == "rmse":
        mean, lower, upper = mean**0.5, max(0.0, lower) ** 0.5, upper**0.5
    if partition != "deldist":
        lower, upper = max(0.0, lower), min(100.0, upper)
    told = {f"{name}.mean": round(mean, 4), f"{name}.lower": round(lower, 4), f"{name}.upper": round(upper, 4)}
    return told | ({f"{name}.cnt": estimate.samples} if counted else {})


def grit_sections(
    samples: Mapping[str, Sequence[GritSample]],
    answers: Mapping[str, Mapping[str, GritAnswer]],
    *,
    note: str = "",
    say: Say = say_nothing,
) -> list[Section]:
    """Score answers as GRIT's leaderboard does.

    Args:
        samples, answers: As for `grit_numbers`.
        note: What the protocol should say beside the rule.
        say: Called with what is being scored.

    Returns:
        Of each answered task its accuracy, with a row for each concept group there is, and its measures of confidence,
        with a row for each partition there is; and the overall number. Fractions of 1; None where there are fewer than
        two samples.
    """
    scores = {}
    for task, found in answers.items():
        say(task)
        scores[task] = [sample_score(task, sample, found[sample.example_id]) for sample in samples[task]]
    numbers = {name: value / 100 for name, value in grit_numbers(samples, answers, scores).items()}
    sections = [section for task in answers for section in _task_sections(task, numbers, scores[task], note)]
    return [*sections, Section("overall", "all of GRIT", OVERALL, {"mean": numbers.get("overall.mean")})]


def _task_sections(task: str, numbers: Numbers, scores: Sequence[float], note: str) -> list[Section]:
    end = f"{TASKS[task]}.mean"
    accuracy: dict[str, float | None] = {"mean": numbers.get(f"acc.any.agg.{end}")}
    accuracy |= {partition: numbers.get(f"acc.any.{partition}.{end}") for partition in PARTITIONS}
    accuracy["all_samples"] = float(np.mean(scores)) if scores else None
    groups = {
        group: {"mean": numbers[name]} for group in CONCEPT_GROUPS if (name := f"acc.{group}.agg.{end}") in numbers
    }
    measures = {measure: numbers.get(f"{measure}.any.agg.{end}") for measure in MEASURES}
    rows = {
        partition: {measure: numbers.get(f"{measure}.any.{partition}.{end}") for measure in MEASURES}
        for partition in PARTITIONS
        if accuracy[partition] is not None
    }
    return [
        Section(task, task, PROTOCOL.format(note).rstrip(), accuracy, groups, row="concept group"),
        Section(
            f"{task}_measures", f"{task}, measures of confidence", MEASURES_PROTOCOL, measures, rows, row="partition"
        ),
    ]
