"""`maskrcnn evaluate --errors`, `--pictures` and `--compare`: what lies behind the numbers of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..errors import SettingError
from ..progress import PictureBar, waiting

if TYPE_CHECKING:
    from ..data.records import CocoData
    from ..evaluate.annotations import Annotations
    from ..evaluate.errors import AnalysedErrors
    from ..evaluate.results import Kind
    from ..evaluate.verdicts import Verdicts
    from ..evaluate.worst import PictureErrors

LISTED = 10
"""Worst pictures that are named where none are drawn."""


def show_errors(
    truth: Annotations,
    records: Sequence[dict[str, Any]],
    read: Callable[[], CocoData] | None,
    *,
    names: Mapping[int, str] = MappingProxyType({}),
    pictures: int = 0,
    folder: Path | None = None,
    max_detections: int = 100,
    console: Console | None = None,
) -> dict[str, Any]:
    """Show what kinds of errors cost, list the worst pictures and draw them.

    Args:
        truth: The annotated objects.
        records: COCO results of their pictures.
        read: Reads the pictures; only called where some are drawn.
        names: Of the pictures by their ids; others go by their ids, unless they are drawn.
        pictures: How many of the worst are drawn.
        folder: Where the drawings are written.
        max_detections: Most detections that count per picture and class.
        console: Where tables are shown; None: standard output.

    Returns:
        For the JSON report: `errors` by kind, and `worst_pictures` with `image_id`, its `picture`, number of `errors`,
        `what` in words and the file of the `drawing`, as far as these are known.

    Raises:
        SettingError: Pictures are to be drawn, but there is no folder, or nothing to read them.
        DataError: A record or a picture cannot be used.
    """
    from ..evaluate.errors import errors_report, errors_tables
    from ..evaluate.results import checked_results
    from ..evaluate.worst import worst_pictures, worst_report, worst_table
    from ..predict.evaluation import kinds_in

    if pictures and (folder is None or read is None):
        raise SettingError(f"--pictures {pictures}: there is no folder to write to, or no pictures. Give both.")
    console = console or Console()
    with waiting("checking the predictions"):
        checked = checked_results(records, truth)
        kinds = _with_truth(truth, kinds_in(truth, checked))
    report: dict[str, Any] = {"errors": {}}
    for kind in kinds:
        verdicts, analysed = _judge(truth, checked, kind, max_detections)
        report["errors"][kind] = errors_report(analysed)
        console.print(errors_tables(analysed, kind))
    worst = worst_pictures(truth, verdicts, analysed.score, max(pictures, LISTED))
    listed = worst_report(truth, checked, worst)
    if pictures and read is not None and folder is not None:
        data = read()
        names = {record.image_id: record.path.name for record in data.records}
        drawn = _draw(folder, data, truth, checked, worst[:pictures], kind, analysed.score)
        for one, path in zip(listed, drawn, strict=False):
            one["drawing"] = str(path)
    for one in (one for one in listed if one["image_id"] in names):
        one["picture"] = names[one["image_id"]]
    console.print(worst_table(listed, analysed.score))
    if any("drawing" in one for one in listed):
        console.print(f"Drawn into {folder}", highlight=False, markup=False, soft_wrap=True)
    return {**report, "worst_pictures": listed}


def _judge(
    truth: Annotations, records: Sequence[dict[str, Any]], kind: Kind, max_detections: int
) -> tuple[Verdicts, AnalysedErrors]:
    """The errors of one kind, found under a progress bar."""
    from ..evaluate.errors import analyse_errors
    from ..evaluate.verdicts import judge_results

    with PictureBar("looking for errors", len(truth.sizes)) as bar:
        verdicts = judge_results(truth, records, kind, max_detections=max_detections, on_progress=bar.advance)
    return verdicts, analyse_errors(truth, verdicts)


def _draw(
    folder: Path,
    data: CocoData,
    truth: Annotations,
    records: Sequence[dict[str, Any]],
    worst: Sequence[PictureErrors],
    kind: Kind,
    score: float,
) -> list[Path]:
    """`write_error_pictures` under a progress bar."""
    from ..predict.error_pictures import write_error_pictures

    with PictureBar("drawing", len(worst)) as bar:
        return write_error_pictures(folder, data, truth, records, worst, kind, score, on_progress=bar.advance)


def show_comparison(
    truth: Annotations,
    records: Sequence[dict[str, Any]],
    other: Path,
    *,
    read: Callable[[Path], Sequence[dict[str, Any]]] | None = None,
    max_detections: int = 100,
    console: Console | None = None,
) -> dict[str, Any]:
    """Show how much this run differs from another on the same pictures, and how sure that is.

    Args:
        truth: The annotated objects.
        records: COCO results of this run.
        other: Results of the other run, or its report.
        read: Reads results of other formats than COCO's; None: there are none.
        max_detections: Most detections that count per picture and class.
        console: Where tables are shown; None: standard output.

    Returns:
        For the JSON report: `compare`, of `comparison_report`, where `first` is the other run and `second` this one.

    Raises:
        DataError: The other run's file cannot be used.
    """
    from ..evaluate.compare import (
        compare_results,
        comparison_report,
        comparison_steps,
        comparison_tables,
        read_other,
    )
    from ..evaluate.results import checked_results
    from ..predict.evaluation import kinds_in

    with waiting("reading the other run"):
        checked, others = checked_results(records, truth), read_other(other, truth, read)
        kinds = _with_truth(truth, kinds_in(truth, [*checked, *others]))
    with PictureBar("comparing", len(kinds) * comparison_steps(truth)) as bar:
        found = {
            kind: compare_results(truth, others, checked, kind, max_detections=max_detections, on_progress=bar.advance)
            for kind in kinds
        }
    (console or Console()).print(comparison_tables(found, other.name, "this run"))
    return {"compare": {"other": str(other), **comparison_report(found)}}


def _with_truth(truth: Annotations, kinds: Sequence[Kind]) -> list[Kind]:
    """Without masks where only boxes are annotated: a mask judged by a box tells nothing about its errors."""
    drawn = not truth.objects or any(found.get("segmentation") for found in truth.objects)
    return [kind for kind in kinds if kind != "segm" or drawn] or ["bbox"]
