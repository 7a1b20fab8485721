"""Precision and recall by COCO's protocol, some classes at a time, so that memory stays small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from faster_coco_eval import COCOeval_faster
from faster_coco_eval.core.cocoeval import Params

from .annotations import Annotations
from .coco_input import Measure, as_dataset, field_of, found_objects, truth_objects
from .keypoints import keypoint_sigmas
from .results import Results

BLOCK = 50_000
"""Predictions that are matched together, unless one class alone has more."""


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
    kind: Measure,
    areas: Sequence[tuple[float, float]],
    limits: Sequence[int],
    on_progress: Callable[[int], None],
) -> Curves:
    """Match predictions with objects as the official evaluation does.

    Args:
        truth: Ground truth.
        results: The predictions; those without the kind's field are left out.
        kind: What is compared.
        areas: A ranges of object areas, both ends included.
        limits: M numbers of detections per image and class, ascending.
        on_progress: Called with the number of classes whose turn has come.
    """
    params = Params("keypoints" if kind == "keypoints" else kind)
    params.areaRng, params.areaRngLbl = [list(ends) for ends in areas], [str(number) for number in range(len(areas))]
    params.maxDets, params.imgIds = list(limits), sorted(truth.sizes)
    if kind == "keypoints":
        params.kpt_oks_sigmas = np.array(keypoint_sigmas(truth))
    chosen = [record for record in results if record.get(field_of(kind)) is not None]
    shape = (len(params.iouThrs), len(params.recThrs), 0, len(areas), len(limits))
    precisions, recalls, done = [np.zeros(shape)], [np.zeros((shape[0], *shape[2:]))], 0
    objects = truth_objects(truth, kind)
    for block in _blocks(truth, chosen):
        done += len(block)
        on_progress(done)
        params.catIds = sorted(block)
        wanted = [found for found in objects if found["category_id"] in block]
        found = found_objects(truth, [record for record in chosen if record["category_id"] in block], kind)
        evaluation = COCOeval_faster(as_dataset(truth, wanted), as_dataset(truth, found), kind, print_function=_silent)
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


def _silent(*_: object) -> None:
    """Takes the place of the evaluator's print."""
