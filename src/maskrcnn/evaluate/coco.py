"""Average precision and recall as COCO defines them (Lin et al. 2014), for boxes, masks and keypoints."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from ..config import ModelSettings
from ..errors import SettingError
from ..structures.classes import Classes
from .annotations import Annotations, load_annotations
from .keypoints import MOST_DETECTIONS, keypoint_numbers, keypoint_objects, keypoint_sigmas
from .results import Kind, checked_results, of_kind
from .segmentations import run_lengths

KINDS: tuple[Kind, ...] = ("bbox", "segm")
AREAS = {"": 0, "s": 1, "m": 2, "l": 3}


@dataclass(frozen=True)
class CocoScores:
    """Scores of boxes, masks or keypoints, as fractions; -1 where there is nothing to find.

    Args:
        numbers: AP, AP50, AP75, APs, APm, APl (small: up to 32 x 32 pixels, large: from 96 x 96), AR1, AR10, ARn
            (recall with at most 1, 10 and n detections), ARs, ARm, ARl. Of keypoints: AP, AP50, AP75, APm, APl, AR,
            AR50, AR75, ARm, ARl.
        per_class: AP of each class by its name; a name that several categories share gets its category id appended.
        per_category: The same by category id.
    """

    numbers: dict[str, float]
    per_class: dict[str, float]
    per_category: dict[int, float]


def kinds_of(settings: ModelSettings, classes: Classes) -> list[Kind]:
    """What a model finds that can be scored on data with these classes."""
    found: list[Kind] = ["bbox"]
    if settings.mask_head is not None:
        found.append("segm")
    if settings.keypoint_head is not None and classes.skeleton is not None:
        found.append("keypoints")
    return found


def evaluate_coco(
    annotations: Annotations | dict | Path | str,
    results: Sequence[dict] | Path | str,
    *,
    max_detections: int = 100,
    kinds: Sequence[Kind] = KINDS,
) -> dict[Kind, CocoScores]:
    """Score predictions exactly as the official evaluation does.

    All numbers but AR1 and AR10 use the `max_detections` best detections of each class in each picture; the official
    summary knows only 100. Recall limits above `max_detections` are left out. Of keypoints at most 20 detections count.

    Args:
        annotations: COCO file or its content; `info`, `area` and `iscrowd` may be missing.
        results: COCO results file or its records; may be empty.
        max_detections: Most detections that count per picture and class.
        kinds: What is scored: "bbox" boxes, "segm" masks, "keypoints" keypoints.

    Returns:
        The scores of each kind.

    Raises:
        DataError: A file or a record cannot be used; predictions name a picture that is not annotated.
    """
    if max_detections < 1:
        raise SettingError(f"max_detections is {max_detections}, but at least 1 detection must count.")
    truth = load_annotations(annotations)
    records = checked_results(results, truth)
    return {kind: _scores(truth, of_kind(records, kind), kind, max_detections) for kind in kinds}


def _scores(truth: Annotations, records: list[dict], kind: Kind, max_detections: int) -> CocoScores:
    limits = sorted({limit for limit in (1, 10) if limit < max_detections} | {max_detections})
    evaluation = COCOeval_faster(*_datasets(truth, records, kind), iouType=kind, print_function=_silent)
    evaluation.params.maxDets = limits
    if kind == "keypoints":
        evaluation.params.maxDets = [min(max_detections, MOST_DETECTIONS)]
        evaluation.params.kpt_oks_sigmas = np.array(keypoint_sigmas(truth))
        evaluation.params.catIds = sorted(truth.categories)
    evaluation.evaluate()
    evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    thresholds = evaluation.params.iouThrs
    columns = precision[:, :, :, AREAS[""], -1]
    ids = [int(category) for category in evaluation.params.catIds]
    per_category = {category: _mean(columns[:, :, k]) for k, category in enumerate(ids)}
    names = _unique_names(truth.categories)
    if kind == "keypoints":
        numbers = keypoint_numbers(precision, recall, thresholds)
    else:
        numbers = _numbers(precision, recall, thresholds, limits)
    return CocoScores(
        numbers={name: _mean(values) for name, values in numbers.items()},
        per_class={names[category]: score for category, score in per_category.items()},
        per_category=per_category,
    )


def _datasets(truth: Annotations, records: list[dict], kind: Kind) -> tuple[COCO, COCO]:
    """Ground truth and detections as the evaluator's own objects, made of copies, because it writes into them."""
    objects = [dict(found) for found in (keypoint_objects(truth) if kind == "keypoints" else truth.complete)]
    if kind == "segm":
        for found, mask in zip(objects, truth.masks, strict=True):
            found["segmentation"] = mask
        for record in records:
            record["segmentation"] = run_lengths(record["segmentation"], truth.sizes[record["image_id"]])
    images = [{"id": image_id, "height": height, "width": width} for image_id, (height, width) in truth.sizes.items()]
    categories = [{"id": category_id, "name": name} for category_id, name in truth.categories.items()]
    content = {"images": images, "annotations": objects, "categories": categories}
    annotated = COCO(content, print_function=_silent)
    return annotated, annotated.loadRes(records)


def _numbers(
    precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray, limits: list[int]
) -> dict[str, np.ndarray]:
    """What the twelve numbers are means of.

    Args:
        precision: [T, R, K, A, M] by IoU threshold, recall, class, range of areas, limit of detections.
        recall: [T, K, A, M].
        thresholds: [T] IoU thresholds.
        limits: M numbers of detections, ascending.
    """
    numbers = {"AP": precision[..., 0, -1]}
    for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        numbers[name] = precision[np.isclose(thresholds, threshold)][..., 0, -1]
    numbers |= {f"AP{name}": precision[..., area, -1] for name, area in AREAS.items() if name}
    numbers |= {f"AR{limit}": recall[..., 0, m] for m, limit in enumerate(limits)}
    return numbers | {f"AR{name}": recall[..., area, -1] for name, area in AREAS.items() if name}


def _mean(values: np.ndarray) -> float:
    """Mean of the entries that have ground truth; -1 if none has."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0


def _unique_names(categories: dict[int, str]) -> dict[int, str]:
    uses = Counter(categories.values())
    return {key: name if uses[name] == 1 else f"{name} ({key})" for key, name in categories.items()}


def _silent(*_: object) -> None:
    """Takes the place of the evaluator's print."""
