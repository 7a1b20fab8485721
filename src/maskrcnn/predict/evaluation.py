"""A model scored on an annotated data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..data.loading import evaluation_scales
from ..data.records import CocoData, Contents
from ..data.split import subset_contents
from ..evaluate.accuracy import best_score_threshold
from ..evaluate.annotations import Annotations, load_annotations
from ..evaluate.coco import kinds_of
from ..evaluate.collect import collect_results
from ..evaluate.report import evaluation_report
from ..evaluate.results import FIELDS, Kind, checked_results, to_results
from ..evaluate.sections import Say, say_nothing
from ..evaluate.text_report import text_report
from ..structures.classes import Classes
from ..structures.instances import Instances
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
        batch, workers: As for `evaluation_scales`.
        on_progress: Called with the number of pictures that are done since the last call.

    Raises:
        DataError: A picture cannot be read, or the classes have nothing to do with each other.
    """
    known = match or match_classes(predictor.classes, data.classes, source=str(data.source))
    threshold = find_threshold(score_threshold, predictor.notes)
    truth = truth_of(data)
    records = predict_records(predictor, data, known, batch=batch, workers=workers, on_progress=on_progress)
    report = score_records(
        truth,
        records,
        kinds=kinds_found(predictor, data, known),
        max_detections=predictor.settings.box_head.detections,
        threshold=threshold,
        choose_score_threshold=choose_score_threshold,
        text=text,
    )
    return Evaluation(report, records)


def kinds_found(predictor: Predictor, data: CocoData, match: ClassMatch) -> list[Kind]:
    """What a model finds that can be scored on a data set."""
    return [kind for kind in kinds_of(predictor.settings, data.classes) if kind != "keypoints" or match.keypoints]


def truth_of(data: CocoData) -> Annotations:
    """The annotated objects that predictions for these pictures are scored against."""
    return replace(load_annotations(subset_contents(data)), source=data.source.name)


def truth_in(contents: Contents) -> Annotations:
    """The annotated objects of a data set of any format, of which no picture was looked for."""
    return replace(load_annotations(contents.coco), source=contents.source.name)


def predict_records(
    predictor: Predictor,
    data: CocoData,
    match: ClassMatch,
    *,
    describe: Callable[[Instances, int, Classes], list[dict]] = to_results,
    batch: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> list[dict]:
    """What is found in every picture as COCO results.

    Args:
        predictor, data, match, batch, workers, on_progress: As for `evaluate_predictor`.
        describe: As for `collect_results`.
    """
    return collect_results(
        lambda pictures: [match.translate(found) for found in predictor.predict_scales(pictures)],
        evaluation_scales(data.records, predictor.inputs, batch=batch, workers=workers),
        data.classes,
        describe=describe,
        on_progress=on_progress,
    )


def score_records(
    truth: Annotations,
    records: Sequence[dict],
    *,
    kinds: Sequence[Kind] | None = None,
    max_detections: int,
    threshold: Threshold,
    choose_score_threshold: bool = False,
    text: bool = False,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Score predictions, fresh or saved, in every way the library knows.

    Args:
        truth: Of the same pictures.
        records: COCO results.
        kinds: What is scored; None: what there is in the records, or without any in the annotations.
        max_detections: As many per picture and class count.
        threshold: Of accuracy and text.
        choose_score_threshold, text: As for `evaluate_predictor`.
        say: Called with what is being scored.

    Returns:
        The `report` of an `Evaluation`.
    """
    checked = checked_results(records, truth)
    kinds = kinds_in(truth, checked) if kinds is None else kinds
    if choose_score_threshold and "segm" in kinds:
        say("score threshold")
        threshold = Threshold(best_score_threshold(truth, checked), "chosen")
    report = evaluation_report(
        truth, checked, max_detections=max_detections, score_threshold=threshold.score, kinds=kinds, say=say
    )
    if "segm" in kinds:
        report["accuracy_score_threshold_from"] = threshold.origin
    if text:
        say("words")
        report["text"] = text_report(truth, checked, score_threshold=threshold.score)
    return report


def kinds_in(truth: Annotations, records: Sequence[dict]) -> list[Kind]:
    """What can be scored: boxes, masks and keypoints that the records have, or, without records, the annotations."""
    there = records or truth.objects
    found = {kind for kind, field in FIELDS.items() if any(one.get(field) for one in there)}
    if truth.skeleton is None:
        found.discard("keypoints")
    return [kind for kind in FIELDS if kind in found] or ["bbox"]
