"""`maskrcnn evaluate --benchmark`: a benchmark's files, predictions for them, and scores by its rules."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..errors import SettingError
from ..progress import waiting
from .scoring import Keep, Model, Scored, predict

if TYPE_CHECKING:
    from ..evaluate.sections import Section
    from ..predict.benchmarks.benchmark import Benchmark, Opened
    from ..predict.predictor import Predictor

NAMES = (
    "`coco`, `coco-keypoints`, `coco-boundary`, `coco-o`, `bdd100k`, `isaid`, `coco-panoptic`, "
    "`cityscapes`, `cityscapes-panoptic`, `lvis`, `lvis-v0.5`, `voc2007`, `voc2012`, `sbd`, `crowdpose`, "
    "`grit`, `mhp`, `ochuman`, `cell17`, `kumar`, `nuclei`, `icdar2015`, `ctw1500`."
)
"""For the help, which comes without loading the benchmarks."""


class Wanted(NamedTuple):
    """What is done with a benchmark's predictions.

    Args:
        submission: Where the caller will write them for the server; None: nowhere.
        score_threshold: From which they count where the benchmark does not rank them; None: as the weights note, or the
            usual one.
        errors: Whether errors will be analysed, for which the objects have to be COCO's.
    """

    submission: Path | None
    score_threshold: float | None
    errors: bool


def score_benchmark(
    name: str,
    folder: Path,
    split: str | None,
    model: Model | None,
    results: Path | None,
    keep: Keep,
    wanted: Wanted,
) -> Scored:
    """Score by a benchmark's own rules what a model predicts for its pictures, or what a file holds.

    Args:
        name, folder, split: As for `open_benchmark`.
        model: None: `results` holds the predictions.
        results: A COCO results file, or what the benchmark's server takes.
        keep: Called with what a model predicted before it is scored.
        wanted: What is done with the predictions.

    Raises:
        SettingError: There is no such benchmark or split, it only ranks, or nothing would be scored or written.
        DataError: Its files, or the results, cannot be used.
    """
    from ..predict.benchmarks.table import find_benchmark, open_benchmark
    from ..predict.thresholds import Threshold, find_threshold

    benchmark = find_benchmark(name)
    with waiting("reading the annotations"):
        opened = open_benchmark(name, folder, split)
    split = split or benchmark.splits[0]
    _check(opened, f"{name} {split}", wanted, predicts=model is not None, kept=bool(model and results))
    threshold = None if wanted.score_threshold is None else Threshold(wanted.score_threshold, "given")
    told: dict[str, Any] = {}
    records: Sequence[dict[str, Any]] = []
    if model is not None:
        predictor = model.open(benchmark.most_detections)
        threshold = threshold or find_threshold(None, predictor.notes)
        records = _predict(predictor, opened, model, segments=benchmark.segments)
        keep(records)
        told = model.told()
    elif results is not None:
        with waiting("reading the results"):
            records = _read(benchmark, opened, results)
        told = {"results_file": str(results)}
    if threshold and opened.at is not None:
        opened = opened.at(threshold.score)
        told |= {"score_threshold": threshold.score, "score_threshold_from": threshold.origin}
    report, tables, sections = _score(name, split, opened, records)
    return Scored(
        {**report, **told},
        tables,
        records,
        opened.truth,
        opened.pictures,
        read=partial(_read, benchmark, opened),
        max_detections=benchmark.most_detections,
        opened=opened,
        names=opened.image_names,
        sections=sections,
    )


def compare_benchmark(scored: Scored, other: Path, console: Console) -> dict[str, Any]:
    """Show a benchmark's own numbers of this run beside those of another.

    Args:
        scored: This run.
        other: Results of the other run, in any form that `--results` takes.
        console: Where tables are shown.

    Returns:
        For the JSON report: `compare_numbers` with those of the other run.
    """
    from ..evaluate.compare import results_of
    from ..evaluate.report import sections_report
    from ..evaluate.tables import difference_tables

    opened, read = scored.opened, scored.read
    if opened is None or opened.score is None or read is None:
        return {}
    with waiting("scoring the other run") as step:
        sections = opened.score(read(results_of(other, others=True)), step)
    console.print(Group(*difference_tables(sections, scored.sections, (other.name, "this run"))))
    return {"compare_numbers": {"other": str(other), **sections_report(sections)}}


def _predict(predictor: Predictor, opened: Opened, model: Model, *, segments: bool) -> list[dict[str, Any]]:
    from ..evaluate.results import to_results
    from ..evaluate.segment_results import to_segment_results

    records, _ = predict(predictor, opened.pictures(), model, to_segment_results if segments else to_results)
    return records


def _check(opened: Opened, name: str, wanted: Wanted, *, predicts: bool, kept: bool) -> None:
    """Say before the long work, not after it, that what is wanted cannot be, or that nothing is wanted."""
    submission = wanted.submission
    if wanted.score_threshold is not None and opened.at is None:
        raise SettingError(f"--score-threshold: {name} ranks predictions by their scores and has no threshold.")
    if wanted.errors and opened.truth is None:
        raise SettingError(
            f"--errors, --pictures: the ground truth of {name} is not made of COCO's objects, or not public."
        )
    if submission is not None and opened.submit is None:
        raise SettingError(f"--submission {submission}: {name} has no server. Leave it out.")
    if submission is not None and predicts and opened.require_submittable is not None:
        opened.require_submittable()
    if opened.score is None and submission is None and not kept:
        raise SettingError(
            f"{name}: the ground truth is not public, so nothing can be scored. Give --submission PATH, to write what "
            "its server takes, or --results FILE with --weights, to keep the predictions."
        )


def _read(benchmark: Benchmark, opened: Opened, results: Path) -> Sequence[dict[str, Any]]:
    from ..evaluate.results import checked_results, read_results

    of_coco = results.is_file() and results.suffix == ".json" and not benchmark.own_json
    records = benchmark.read(results, opened) if benchmark.read is not None and not of_coco else read_results(results)
    # Checked here so that messages name the file.
    return records if opened.truth is None else checked_results(records, opened.truth, source=results.name)


def _score(
    name: str, split: str, opened: Opened, records: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], RenderableType, list[Section]]:
    from ..evaluate.report import library_versions, sections_report, title_of
    from ..evaluate.tables import section_tables

    report: dict[str, Any] = {"benchmark": name, "split": split, "annotations": opened.source}
    unknown = {"objects"} if opened.score is None else set()
    counts = {"pictures": 0, "objects": 0, **opened.counts, "predictions": len(records)}
    report |= {counted: number for counted, number in counts.items() if counted not in unknown}
    report["versions"] = library_versions()
    head = Text(f"{name} {split}, {title_of(report)}", style="bold")
    if opened.score is None:
        note = Text("Its ground truth is not public: --submission writes what its server takes.")
        return report, Group(head, note), []
    with waiting("scoring") as step:
        sections = opened.score(records, step)
    return {**report, **sections_report(sections)}, Group(head, *section_tables(sections)), sections
