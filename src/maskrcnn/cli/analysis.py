"""`--errors`, `--worst` and `--compare` of the verbs that score: what lies behind the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from ..progress import ImageBar, waiting
from .console import say, show

if TYPE_CHECKING:
    from ..analysis.worst import ImageErrors
    from ..data.dataset import Dataset
    from ..evaluation.report import Report
    from ..evaluation.results import IouType, Results

LISTED = 10
"""Worst images that are named where none are drawn."""


def show_errors(
    report: Report,
    dataset: Callable[[], Dataset] | None,
    *,
    names: Mapping[int, str] = MappingProxyType({}),
    drawn: int = 0,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Show what kinds of errors cost, list the worst images and draw them.

    Args:
        report: Scores with their predictions and the annotated objects.
        dataset: Reads the images; only called where some are drawn.
        names: Of the images by their ids; others go by their ids, unless they are drawn.
        drawn: How many of the worst are drawn.
        folder: Where the drawings are written.

    Returns:
        For the JSON report: `errors` by iou_type, and `worst_images` with `image_id`, its `image`, number of `errors`,
        `what` in words and the file of the `drawing`, as far as these are known.

    Raises:
        SettingError: Images are to be drawn, but there is no folder, or nothing to read them.
        DataError: An image cannot be used.
    """
    from ..analysis.errors import analyze_errors, errors_report, errors_tables
    from ..analysis.faults import find_faults
    from ..analysis.worst import worst_images, worst_report, worst_table
    from ..evaluation.coco import comparable_iou_types

    if drawn and (folder is None or dataset is None):
        raise SettingError(f"--worst {drawn}: there is no folder to write to, or no images. Give both.")
    truth, results = report.truth, report.results
    assert truth is not None
    found: dict[str, Any] = {"errors": {}}
    for iou_type in comparable_iou_types(truth, results):
        with ImageBar("looking for errors", len(truth.sizes)) as bar:
            detected = find_faults(
                truth, results, iou_type, max_detections=report.max_detections, on_progress=bar.advance
            )
        analyzed = analyze_errors(truth, detected)
        found["errors"][iou_type] = errors_report(analyzed)
        show(errors_tables(analyzed, iou_type))
    worst = worst_images(truth, detected, analyzed.score, max(drawn, LISTED))
    listed = worst_report(truth, results, worst)
    if drawn and dataset is not None and folder is not None:
        data = dataset()
        names = {record.image_id: record.path.name for record in data.records}
        for one, path in zip(
            listed, _draw(folder, data, report, worst[:drawn], iou_type, analyzed.score), strict=False
        ):
            one["drawing"] = str(path)
    for one in (one for one in listed if one["image_id"] in names):
        one["image"] = names[one["image_id"]]
    show(worst_table(listed, analyzed.score))
    if any("drawing" in one for one in listed):
        say(f"Drawn into {folder}")
    return {**found, "worst_images": listed}


def _draw(
    folder: Path, data: Dataset, report: Report, worst: Sequence[ImageErrors], iou_type: IouType, score: float
) -> list[Path]:
    """`write_error_images` under a progress bar."""
    from ..predict.error_images import write_error_images

    assert report.truth is not None
    with ImageBar("drawing", len(worst)) as bar:
        return write_error_images(
            folder, data, report.truth, report.results, worst, iou_type, score, on_progress=bar.advance
        )


def show_comparison(report: Report, other: Path, *, read: Callable[[Path], Results] | None = None) -> dict[str, Any]:
    """Show how much this run differs from another on the same images, and how sure that is.

    Args:
        report: Scores with their predictions and the annotated objects.
        other: Results of the other run, or its report.
        read: Reads results of other formats than COCO's; None: there are none.

    Returns:
        For the JSON report: `compare`, of `comparison_report`, where `first` is the other run and `second` this one.

    Raises:
        DataError: The other run's file cannot be used.
    """
    from ..analysis.compare import compare_results, comparison_report, comparison_steps, comparison_tables, read_other
    from ..evaluation.coco import comparable_iou_types

    truth, results = report.truth, report.results
    assert truth is not None
    with waiting("reading the other run"):
        others = read_other(other, truth, read)
    iou_types = comparable_iou_types(truth, results, others)
    with ImageBar("comparing", len(iou_types) * comparison_steps(truth)) as bar:
        found = {
            iou_type: compare_results(
                truth, others, results, iou_type, max_detections=report.max_detections, on_progress=bar.advance
            )
            for iou_type in iou_types
        }
    show(comparison_tables(found, other.name, "this run"))
    return {"compare": {"other": str(other), **comparison_report(found)}}
