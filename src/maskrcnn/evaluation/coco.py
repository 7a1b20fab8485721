"""Average precision and recall as COCO defines them (Lin et al. 2014), for boxes, masks and keypoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from faster_coco_eval import COCOeval_faster
from faster_coco_eval.core.cocoeval import Params

from ..config import ModelSettings
from ..errors import SettingError
from ..structures.classes import Classes
from .annotations import Annotations
from .coco_input import Measure, as_dataset, field_of, found_objects, silent, truth_objects
from .keypoints import MOST_DETECTIONS, keypoint_numbers, keypoint_sigmas
from .results import FIELDS, IouType, Results
from .sections import Numbers, Say, Section, say_nothing

BLOCK = 50_000
"""Predictions that are matched together, unless one class alone has more."""
IOU_TYPES: tuple[IouType, ...] = ("bbox", "segm")
AREAS = {"": (0.0, 1e10), "s": (0.0, 32.0**2), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e10)}
"""Ranges of object areas in square pixels, both ends included."""
KEYPOINT_AREAS = {name: limits for name, limits in AREAS.items() if name != "s"}
TITLES: dict[Measure, str] = {
    "bbox": "boxes",
    "segm": "masks",
    "keypoints": "keypoints",
    "boundary": "boundaries of masks",
}
SIMILARITIES: dict[Measure, str] = {
    "bbox": "IoU",
    "segm": "IoU",
    "keypoints": "OKS",
    "boundary": "the smaller of mask IoU and Boundary IoU (dilation 0.02)",
}


class Curves(NamedTuple):
    """What COCO's numbers are means of; -1 where there is nothing to find.

    Args:
        precision: [T, R, K, A, M] by IoU threshold, recall (0 to 1 in 101 steps), class, range of areas, limit of
            detections; the classes by their category ids.
        recall: [T, K, A, M].
        thresholds: [T] 0.5 to 0.95.
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray


def coco_curves(
    truth: Annotations,
    results: Results,
    iou_type: Measure,
    areas: Sequence[tuple[float, float]],
    limits: Sequence[int],
    on_progress: Callable[[int], None],
) -> Curves:
    """Match predictions with objects as the official evaluation does.

    Args:
        truth: Ground truth.
        results: The predictions; those without the field of the IoU type are left out.
        iou_type: What is compared.
        areas: A ranges of object areas, both ends included.
        limits: M numbers of detections per image and class, ascending.
        on_progress: Called with the number of classes whose turn has come.
    """
    params = Params("keypoints" if iou_type == "keypoints" else iou_type)
    params.areaRng, params.areaRngLbl = [list(ends) for ends in areas], [str(number) for number in range(len(areas))]
    params.maxDets, params.imgIds = list(limits), sorted(truth.sizes)
    if iou_type == "keypoints":
        params.kpt_oks_sigmas = np.array(keypoint_sigmas(truth))
    chosen = [record for record in results if record.get(field_of(iou_type)) is not None]
    shape = (len(params.iouThrs), len(params.recThrs), 0, len(areas), len(limits))
    precisions, recalls, done = [np.zeros(shape)], [np.zeros((shape[0], *shape[2:]))], 0
    objects = truth_objects(truth, iou_type)
    for block in _blocks(truth, chosen):
        done += len(block)
        on_progress(done)
        params.catIds = sorted(block)
        annotated = [found for found in objects if found["category_id"] in block]
        found = found_objects(truth, [record for record in chosen if record["category_id"] in block], iou_type)
        evaluation = COCOeval_faster(
            as_dataset(truth, annotated), as_dataset(truth, found), iou_type, print_function=silent
        )
        evaluation.params = params
        evaluation.evaluate()
        evaluation.accumulate()
        precisions.append(evaluation.eval["precision"])
        recalls.append(evaluation.eval["recall"])
    return Curves(np.concatenate(precisions, axis=2), np.concatenate(recalls, axis=1), params.iouThrs)


def _blocks(truth: Annotations, records: Sequence[dict]) -> list[set[int]]:
    """Category ids in ascending order, cut where a block has enough predictions."""
    counts = Counter(record["category_id"] for record in records)
    blocks: list[set[int]] = []
    size = 0
    for category in sorted(truth.categories):
        if not blocks or size + counts[category] > BLOCK:
            blocks.append(set())
            size = 0
        blocks[-1].add(category)
        size += counts[category]
    return blocks


@dataclass(frozen=True)
class CocoScores:
    """Scores of boxes, masks or keypoints as `coco_sections` gives them, of the whole and of each class by its name."""

    numbers: dict[str, float]
    per_class: dict[str, dict[str, float]]


def iou_types_of(settings: ModelSettings, classes: Classes) -> list[IouType]:
    """What a model finds that can be scored on data with these classes."""
    found: list[IouType] = ["bbox"]
    if settings.mask_head is not None:
        found.append("segm")
    if settings.keypoint_head is not None and classes.keypoint_schema is not None:
        found.append("keypoints")
    return found


def iou_types_to_score(truth: Annotations, results: Results) -> list[IouType]:
    """What can be scored: boxes, masks and keypoints that the results have, or, without results, the annotations."""
    annotated = [iou_type for iou_type, field in FIELDS.items() if any(one.get(field) for one in truth.objects)]
    found = set(results.iou_types if results else annotated)
    if truth.keypoint_schema is None:
        found.discard("keypoints")
    return [iou_type for iou_type in FIELDS if iou_type in found] or ["bbox"]


def comparable_iou_types(truth: Annotations, *runs: Results) -> list[IouType]:
    """What errors are looked for in: `iou_types_to_score` of any run, but no masks where only boxes are annotated.

    A mask compared with a box tells nothing about its errors.
    """
    drawn = not truth.objects or any(one.get("segmentation") for one in truth.objects)
    found = {
        iou_type for run in [run for run in runs if run] or runs[:1] for iou_type in iou_types_to_score(truth, run)
    }
    return [iou_type for iou_type in FIELDS if iou_type in found and (iou_type != "segm" or drawn)] or ["bbox"]


def coco_sections(
    truth: Annotations,
    results: Results,
    *,
    iou_types: Sequence[Measure] = IOU_TYPES,
    max_detections: int = 100,
    areas: Mapping[str, tuple[float, float]] = AREAS,
    say: Say = say_nothing,
) -> list[Section]:
    """Score predictions exactly as the official evaluation does.

    All numbers but AR1 and AR10 use the `max_detections` best detections of each class in each image; the official
    summary knows only 100. Recall limits above `max_detections` are left out. Of keypoints at most 20 detections count.

    Args:
        truth: The annotated objects; `area` and `iscrowd` may be missing.
        results: The predictions; may be empty.
        iou_types: What is scored: "bbox" boxes, "segm" masks, "keypoints" keypoints, "boundary" masks compared by the
            smaller of mask IoU and Boundary IoU (Cheng et al. 2021).
        max_detections: Most detections that count per image and class.
        areas: Ranges of areas by the end of their numbers' names, all areas as "" first; not of keypoints.
        say: Called with what is being scored.

    Returns:
        A section for each iou_type, as fractions; -1 where there is nothing to find. Of boxes and masks AP, AP50, AP75,
        APs, APm, APl (small: up to 32 x 32 pixels, large: from 96 x 96), AR1, AR10, ARn (recall with at most 1, 10 and
        n detections), ARs, ARm, ARl; of keypoints AP, AP50, AP75, APm, APl, AR, AR50, AR75, ARm, ARl. Of each class
        AP, AP50 and AP75; a name that several categories share gets its category id appended.

    Raises:
        SettingError: No detection at all would count.
    """
    if max_detections < 1:
        raise SettingError(f"max_detections is {max_detections}, but at least 1 detection must count.")
    sections = []
    for iou_type in iou_types:
        scores = _scores(truth, results, iou_type, max_detections, areas, say)
        most = min(max_detections, MOST_DETECTIONS) if iou_type == "keypoints" else max_detections
        rule = f"COCO AP and AR at {SIMILARITIES[iou_type]} 0.50:0.05:0.95"
        protocol = f"{rule}, at most {most} detections per image and class"
        sections.append(Section(iou_type, TITLES[iou_type], protocol, scores.numbers, scores.per_class))
    return sections


def _scores(
    truth: Annotations,
    results: Results,
    iou_type: Measure,
    max_detections: int,
    areas: Mapping[str, tuple[float, float]],
    say: Say,
) -> CocoScores:
    limits = sorted({limit for limit in (1, 10) if limit < max_detections} | {max_detections})
    if iou_type == "keypoints":
        areas, limits = KEYPOINT_AREAS, [min(max_detections, MOST_DETECTIONS)]
    progress = partial(_say_classes, say, TITLES[iou_type], len(truth.categories))
    curves = coco_curves(truth, results, iou_type, list(areas.values()), limits, progress)
    if iou_type == "keypoints":
        return _named(keypoint_numbers(*curves), curves, truth)
    return scores_of(curves, truth, limits, list(areas))


def scores_of(curves: Curves, truth: Annotations, limits: Sequence[int], areas: Sequence[str]) -> CocoScores:
    """The twelve numbers of boxes or masks, and those of each class.

    Args:
        curves: Of all categories by their ids.
        truth: What was looked for.
        limits: M numbers of detections, ascending.
        areas: Names of the A ranges of areas, the first of all areas.
    """
    return _named(_numbers(*curves, limits, areas), curves, truth)


def _named(numbers: Mapping[str, np.ndarray], curves: Curves, truth: Annotations) -> CocoScores:
    per_category = _per_category(curves.precision[:, :, :, 0, -1], curves.thresholds, sorted(truth.categories))
    names = unique_names(truth.categories)
    return CocoScores(
        numbers={name: mean_of_known(values) for name, values in numbers.items()},
        per_class={names[category]: found for category, found in per_category.items()},
    )


def _say_classes(say: Say, title: str, classes: int, done: int) -> None:
    say(f"{title}: {done} of {classes} classes")


def _per_category(
    precision: np.ndarray, thresholds: np.ndarray, category_ids: Sequence[int]
) -> dict[int, dict[str, float]]:
    """AP, AP50 and AP75 by category id, of [T, R, K] precisions of all areas."""
    chosen = {"AP": thresholds > 0, "AP50": np.isclose(thresholds, 0.5), "AP75": np.isclose(thresholds, 0.75)}
    return {
        int(category): {name: mean_of_known(precision[which][:, :, k]) for name, which in chosen.items()}
        for k, category in enumerate(category_ids)
    }


def _numbers(
    precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray, limits: Sequence[int], areas: Sequence[str]
) -> dict[str, np.ndarray]:
    """What the twelve numbers are means of.

    Args:
        precision: [T, R, K, A, M] by IoU threshold, recall, class, range of areas, limit of detections.
        recall: [T, K, A, M].
        thresholds: [T] IoU thresholds.
        limits: M numbers of detections, ascending.
        areas: Names of the A ranges of areas, the first of all areas.
    """
    numbers = {"AP": precision[..., 0, -1]}
    for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        numbers[name] = precision[np.isclose(thresholds, threshold)][..., 0, -1]
    numbers |= {f"AP{name}": precision[..., area, -1] for area, name in enumerate(areas) if name}
    numbers |= {f"AR{limit}": recall[..., 0, m] for m, limit in enumerate(limits)}
    return numbers | {f"AR{name}": recall[..., area, -1] for area, name in enumerate(areas) if name}


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the entries that have ground truth; -1 if none has."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def none_where_undefined(numbers: Numbers) -> Numbers:
    """-1, as COCO says that there is nothing to find, becomes None."""
    return {name: None if value == -1 else value for name, value in numbers.items()}


def unique_names(categories: dict[int, str]) -> dict[int, str]:
    """Category names by id; those that several share get their id appended."""
    uses = Counter(categories.values())
    return {key: name if uses[name] == 1 else f"{name} ({key})" for key, name in categories.items()}
