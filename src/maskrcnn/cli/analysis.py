"""`--errors`, `--pictures` and `--compare` of the verbs that score: what lies behind the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..progress import PictureBar, waiting
from .console import say, show

if TYPE_CHECKING:
    from ..data.dataset import CocoData
    from ..evaluation.report import Report
    from ..evaluation.results import Kind, Results
    from ..analysis.worst import PictureErrors

LISTED = 10
"""Worst pictures that are named where none are drawn."""


def show_errors(
    report: Report,
    dataset: Callable[[], CocoData] | None,
    *,
    names: Mapping[int, str] = MappingProxyType({}),
    drawn: int = 0,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Show what kinds of errors cost, list the worst pictures and draw them.

    Args:
        report: Scores with their predictions and the annotated objects.
        dataset: Reads the pictures; only called where some are drawn.
        names: Of the pictures by their ids; others go by their ids, unless they are drawn.
        drawn: How many of the worst are drawn.
        folder: Where the drawings are written.

    Returns:
        For the JSON report: `errors` by kind, and `worst_pictures` with `image_id`, its `picture`, number of `errors`,
        `what` in words and the file of the `drawing`, as far as these are known.

    Raises:
        SettingError: Pictures are to be drawn, but there is no folder, or nothing to read them.
        DataError: A picture cannot be used.
    """
    from ..evaluation.coco import comparable_kinds
    from ..analysis.errors import analyse_errors, errors_report, errors_tables
    from ..analysis.faults import judge_results
    from ..analysis.worst import worst_pictures, worst_report, worst_table

    if drawn and (folder is None or dataset is None):
        raise SettingError(f"--pictures {drawn}: there is no folder to write to, or no pictures. Give both.")
    truth, results = report.truth, report.results
    assert truth is not None
    found: dict[str, Any] = {"errors": {}}
    for kind in comparable_kinds(truth, results):
        with PictureBar("looking for errors", len(truth.sizes)) as bar:
            verdicts = judge_results(
                truth, results, kind, max_detections=report.max_detections, on_progress=bar.advance
            )
        analysed = analyse_errors(truth, verdicts)
        found["errors"][kind] = errors_report(analysed)
        show(errors_tables(analysed, kind))
    worst = worst_pictures(truth, verdicts, analysed.score, max(drawn, LISTED))
    listed = worst_report(truth, results, worst)
    if drawn and dataset is not None and folder is not None:
        data = dataset()
        names = {record.image_id: record.path.name for record in data.records}
        for one, path in zip(listed, _draw(folder, data, report, worst[:drawn], kind, analysed.score), strict=False):
            one["drawing"] = str(path)
    for one in (one for one in listed if one["image_id"] in names):
        one["picture"] = names[one["image_id"]]
    show(worst_table(listed, analysed.score))
    if any("drawing" in one for one in listed):
        say(f"Drawn into {folder}")
    return {**found, "worst_pictures": listed}


def _draw(
    folder: Path, data: CocoData, report: Report, worst: Sequence[PictureErrors], kind: Kind, score: float
) -> list[Path]:
    """`write_error_pictures` under a progress bar."""
    from ..predict.error_images import write_error_pictures

    assert report.truth is not None
    with PictureBar("drawing", len(worst)) as bar:
        return write_error_pictures(
            folder, data, report.truth, report.results, worst, kind, score, on_progress=bar.advance
        )


def show_comparison(report: Report, other: Path, *, read: Callable[[Path], Results] | None = None) -> dict[str, Any]:
    """Show how much this run differs from another on the same pictures, and how sure that is.

    Args:
        report: Scores with their predictions and the annotated objects.
        other: Results of the other run, or its report.
        read: Reads results of other formats than COCO's; None: there are none.

    Returns:
        For the JSON report: `compare`, of `comparison_report`, where `first` is the other run and `second` this one.

    Raises:
        DataError: The other run's file cannot be used.
    """
    from ..evaluation.coco import comparable_kinds
    from ..analysis.compare import (
        compare_results,
        comparison_report,
        comparison_steps,
        comparison_tables,
        read_other,
    )

    truth, results = report.truth, report.results
    assert truth is not None
    with waiting("reading the other run"):
        others = read_other(other, truth, read)
    kinds = comparable_kinds(truth, results, others)
    with PictureBar("comparing", len(kinds) * comparison_steps(truth)) as bar:
        found = {
            kind: compare_results(
                truth, others, results, kind, max_detections=report.max_detections, on_progress=bar.advance
            )
            for kind in kinds
        }
    show(comparison_tables(found, other.name, "this run"))
    return {"compare": {"other": str(other), **comparison_report(found)}}
