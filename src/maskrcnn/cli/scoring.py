"""What `maskrcnn evaluate` scores: predictions of a model or of a file, on annotated data or by a benchmark's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..config import ViewSettings
from ..progress import PictureBar, waiting
from .models import EngineName, PrecisionName, open_predictor

if TYPE_CHECKING:
    from ..data.records import CocoData, Contents
    from ..evaluate.annotations import Annotations
    from ..evaluate.sections import Section
    from ..predict.benchmarks.benchmark import Opened
    from ..predict.class_match import ClassMatch
    from ..predict.predictor import Predictor
    from ..structures.classes import Classes
    from ..structures.instances import Instances

    Describe = Callable[[Instances, int, Classes], list[dict]]

SAVED_DETECTIONS = 100
"""Detections per picture and class that count of saved results, as COCO has it."""
Keep = Callable[[Sequence[dict[str, Any]]], None]


@dataclass(frozen=True)
class Model:
    """The model that predicts, as the options describe it."""

    weights: str
    settings: Sequence[str]
    device: str | None
    precision: PrecisionName
    engine: EngineName
    detections: int | None
    views: ViewSettings | None
    batch: int
    proposals: Path | None

    def open(self, detections: int | None = None) -> Predictor:
        """Read the weights; `detections` per picture where the options do not say."""
        return open_predictor(
            self.weights,
            self.settings,
            device=self.device,
            precision=self.precision,
            engine=self.engine,
            detections=self.detections or detections,
            views=self.views,
        )

    def told(self) -> dict[str, Any]:
        """What a report says of it."""
        told: dict[str, Any] = {"weights": self.weights, "settings": list(self.settings)}
        if self.proposals:
            told["proposals"] = str(self.proposals)
        if self.views:
            told["views"] = self.views.model_dump(mode="json")
        return told


class Scored(NamedTuple):
    """An evaluation.

    Args:
        report: For the JSON file.
        tables: For the terminal.
        records: What was predicted, as COCO results.
        truth: The annotated objects; None: they are not such as COCO has.
        pictures: Reads the pictures.
        read: Reads other predictions for them; None: COCO results only.
        max_detections: Per picture and class, that count.
        opened: The benchmark's files; None without a benchmark.
        names: Of the pictures by their ids, as far as they are known.
        sections: The benchmark's own numbers.
    """

    report: dict[str, Any]
    tables: RenderableType
    records: Sequence[dict[str, Any]]
    truth: Annotations | None
    pictures: Callable[[], CocoData]
    read: Callable[[Path], Sequence[dict[str, Any]]] | None = None
    max_detections: int = SAVED_DETECTIONS
    opened: Opened | None = None
    names: Mapping[int, str] = MappingProxyType({})
    sections: Sequence[Section] = ()


class Rule(NamedTuple):
    """How predictions on a data set of one's own are scored: the options of the same names."""

    score_threshold: float | None
    choose_score_threshold: bool
    text: bool


def score_data(read: Callable[[], CocoData], model: Model, rule: Rule, keep: Keep) -> Scored:
    """Predict a data set's pictures and score what was found.

    Args:
        read: Reads the data set.
        model, rule: As the options have them.
        keep: Called with the predictions before they are scored.
    """
    from ..evaluate.report import join_sections, report_tables
    from ..evaluate.segment_results import keep_segments
    from ..evaluate.tables import section_tables
    from ..predict.evaluation import kinds_found, score_records, truth_of
    from ..predict.panoptic_evaluation import has_segments, score_segments
    from ..predict.thresholds import find_threshold

    data = read()
    predictor = model.open()
    threshold = find_threshold(rule.score_threshold, predictor.notes)
    truth = truth_of(data)
    segments: list[dict[str, Any]] = []
    records, match = predict(predictor, data, model, keep_segments(segments))
    keep(records)
    with waiting("scoring") as step:
        report = score_records(
            truth,
            records,
            kinds=kinds_found(predictor, data, match),
            max_detections=predictor.settings.box_head.detections,
            threshold=threshold,
            choose_score_threshold=rule.choose_score_threshold,
            text=rule.text,
            say=step,
        )
        of_segments = score_segments(data, segments, step) if segments and has_segments(data) else []
    tables = Group(report_tables(report), *section_tables(of_segments))
    report = join_sections(report, of_segments) | model.told()
    most = predictor.settings.box_head.detections
    names = {record.image_id: record.path.name for record in data.records}
    return Scored(report, tables, records, truth, lambda: data, max_detections=most, names=names)


def score_saved(
    contents: Contents,
    results: Path,
    read: Callable[[], CocoData],
    rule: Rule,
    *,
    restricted: bool,
    max_detections: int | None,
) -> Scored:
    """Score predictions that were saved, without a model.

    Args:
        contents: The annotations.
        results: The predictions.
        read: Reads the pictures.
        rule: As the options have it.
        restricted: Only what `read` gives counts; else no picture is read.
        max_detections: Per picture and class; None: as COCO has it.
    """
    from ..data.readers.coco_panoptic import is_panoptic
    from ..evaluate.report import report_tables
    from ..evaluate.results import checked_results
    from ..predict.evaluation import score_records, truth_in, truth_of
    from ..predict.thresholds import find_threshold

    if is_panoptic(contents.coco):
        return _score_saved_segments(contents, results, read)
    truth = truth_of(read()) if restricted else truth_in(contents)
    most = max_detections or SAVED_DETECTIONS
    with waiting("scoring") as step:
        records = checked_results(results, truth)
        report = score_records(
            truth,
            records,
            max_detections=most,
            threshold=find_threshold(rule.score_threshold, {}),
            choose_score_threshold=rule.choose_score_threshold,
            text=rule.text,
            say=step,
        )
    names = {image["id"]: Path(str(image.get("file_name"))).name for image in contents.coco["images"]}
    return Scored(report, report_tables(report), records, truth, read, max_detections=most, names=names)


def _score_saved_segments(contents: Contents, results: Path, read: Callable[[], CocoData]) -> Scored:
    """Score segments that were saved, as COCO's panoptic results or as COCO's results with a mask each."""
    from ..evaluate.report import library_versions, sections_report, title_of
    from ..evaluate.tables import section_tables
    from ..predict.panoptic_evaluation import score_saved_segments

    with waiting("scoring") as step:
        sections, records = score_saved_segments(contents.source, contents.coco, results, step)
    annotated = contents.coco.get("annotations", [])
    report = {
        **sections_report(sections),
        "annotations": contents.source.name,
        "pictures": len(annotated),
        "objects": sum(len(one["segments_info"]) for one in annotated),
        "predictions": len(records),
        "versions": library_versions(),
    }
    tables = Group(Text(title_of(report), style="bold"), *section_tables(sections))
    return Scored(report, tables, records, None, read)


def predict(
    predictor: Predictor, data: CocoData, model: Model, describe: Describe
) -> tuple[list[dict[str, Any]], ClassMatch]:
    """Predictions under a progress bar, after notes on what the classes of both have in common."""
    from ..predict.class_match import match_classes
    from ..predict.evaluation import predict_records

    if model.proposals:
        from ..predict.proposal_files import read_proposal_file

        data = read_proposal_file(model.proposals, data, most=predictor.settings.rpn.proposals)
    match = match_classes(predictor.classes, data.classes, source=str(data.source))
    for note in match.notes:
        say(f"Note: {note}.")
    with PictureBar("predicting", len(data.records)) as bar:
        return predict_records(
            predictor, data, match, describe=describe, batch=model.batch, on_progress=bar.advance
        ), match


def say(text: str) -> None:
    """Tell people what they should know, beside the results."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
