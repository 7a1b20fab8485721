"""A model scored on an annotated data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ..data.loading import evaluation_batches
from ..data.records import CocoData
from ..data.split import subset_contents
from ..evaluate.accuracy import best_score_threshold
from ..evaluate.annotations import Annotations, load_annotations
from ..evaluate.coco import kinds_of
from ..evaluate.collect import collect_results
from ..evaluate.report import evaluation_report
from ..evaluate.results import Kind
from ..evaluate.text_report import text_report
from .class_match import ClassMatch, match_classes
from .predictor import Predictor
from .thresholds import Threshold, find_threshold


class Evaluation(NamedTuple):
    """What a model reached.

    Args:
        report: Of `evaluation_report`, and `accuracy_score_threshold_from` (given, weights, default, chosen).
        results: The predictions as COCO records.
    """

    report: dict[str, Any]
    results: list[dict]


def evaluate_predictor(
    predictor: Predictor,
    data: CocoData,
    match: ClassMatch | None = None,
    *,
    score_threshold: float | None = None,
    choose_score_threshold: bool = False,
    text: bool = False,
    batch: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Predict every picture of a data set and score what was found.

    As many detections count per picture and class as the model gives per picture, `box_head.detections`.

    Args:
        predictor: The model.
        data: Pictures and objects; there may be none of either.
        match: The data set's label of each of the model's labels; None: matched by name.
        score_threshold: Of instance accuracy; None: the weights' own, or the usual one.
        choose_score_threshold: Choose it so that the mean accuracy on these pictures is best. To be done on training
            pictures; what it gives on the same pictures is too good.
        text: Score the objects as words too, which adds `text` of `text_report` to the report.
        batch, workers: As for `evaluation_batches`.
        on_progress: Called with the number of pictures that are done since the last call.

    Raises:
        DataError: A picture cannot be read, or the classes have nothing to do with each other.
    """
    known = match or match_classes(predictor.classes, data.classes, source=data.source.name)
    threshold = find_threshold(score_threshold, predictor.notes)
    truth = replace(load_annotations(subset_contents(data)), source=data.source.name)
    results = collect_results(
        lambda pictures: [known.translate(found) for found in predictor.predict_batch(pictures)],
        evaluation_batches(
            data.records, predictor.inputs[0], rescaled=predictor.inputs[1:], batch=batch, workers=workers
        ),
        data.classes,
        on_progress=on_progress,
    )
    kinds = [kind for kind in kinds_of(predictor.settings, data.classes) if kind != "keypoints" or known.keypoints]
    if choose_score_threshold and "segm" in kinds:
        threshold = Threshold(best_score_threshold(truth, results), "chosen")
    report = _report(truth, results, threshold, kinds, predictor.settings.box_head.detections)
    if text:
        report["text"] = text_report(truth, results, score_threshold=threshold.score)
    return Evaluation(report, results)


def _report(
    truth: Annotations, results: list[dict], threshold: Threshold, kinds: list[Kind], max_detections: int
) -> dict[str, Any]:
    report = evaluation_report(
        truth, results, max_detections=max_detections, score_threshold=threshold.score, kinds=kinds
    )
    return report | ({"accuracy_score_threshold_from": threshold.origin} if "segm" in kinds else {})
