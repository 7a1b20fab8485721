"""What the verbs that score have in common: the scores shown and written, and what lies behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import TTASettings
from ..errors import SettingError
from ..progress import ImageBar, announce, waiting
from .console import require_place, say, show

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..evaluation.report import Report
    from ..evaluation.results import Results
    from ..evaluation.sections import Say, Section

ORIGINS = {
    "given": "was given",
    "weights": "is the weights' own, chosen on their training images",
    "default": "is the usual one; --score-threshold best finds a better one, on training images",
    "chosen": "is the best on these very images: use it on others",
}


@dataclass(frozen=True)
class Scored:
    """Scores, and what it takes to look behind them.

    Args:
        report: The scores.
        dataset: Reads the images, to draw the worst.
        names: Of the images by their ids, as far as they are known.
        read: Reads predictions of another run; None: COCO results only.
        score: Scores those by rules of a benchmark's own; None: there are none.
    """

    report: Report
    dataset: Callable[[], Dataset]
    names: Mapping[int, str] = field(default_factory=dict)
    read: Callable[[Path], Results] | None = None
    score: Callable[[Results, Say], Sequence[Section]] | None = None


@dataclass(frozen=True)
class Analysis:
    """What people want to know behind the scores: the options of the same names.

    Raises:
        SettingError: The file of the other run is missing, or the folder cannot be written to, which is said before the
            long work.
    """

    compare: Path | None = None
    errors: bool = False
    worst: Path | None = None

    def __post_init__(self) -> None:
        require_place(self.worst, folder=True)
        if self.compare is not None and not self.compare.exists():
            raise SettingError(
                f"--compare {self.compare}: there is no such file. Give the other run's results file or report."
            )

    @property
    def needs_objects(self) -> bool:
        """Whether the annotated objects are looked at."""
        return self.errors or self.worst is not None

    def show(self, scored: Scored) -> dict[str, Any]:
        """Show it, and give what a report holds of it."""
        facts = dict[str, Any]()
        if self.compare is not None and scored.score is not None:
            facts |= _compare_numbers(scored, self.compare)
        if scored.report.truth is None:
            return facts
        if self.needs_objects:
            facts |= _show_errors(scored, self.worst)
        if self.compare is not None:
            facts |= _show_comparison(scored, self.compare)
        return facts


def finish(scored: Scored, analysis: Analysis, json: Path | None) -> None:
    """Show and write the scores, then what lies behind them."""
    report = scored.report
    if json is not None:
        report.write(json)  # already here: the analysis may take long, or find a file that it cannot use
    show(report.table())
    if "accuracy" in report:
        show(f"The score threshold {ORIGINS[report.facts['score_threshold_from']]}.")
    facts = analysis.show(scored)
    if json is not None and facts:
        report.adding(**facts).write(json)


def model_facts(
    weights: str, overrides: Sequence[str] | None, tta: TTASettings | None, proposals: Path | None
) -> dict[str, Any]:
    """What a report says of the model."""
    facts: dict[str, Any] = {"weights": weights, "settings": list(overrides or [])}
    if proposals:
        facts["proposals"] = str(proposals)
    if tta:
        facts["tta"] = tta.model_dump(mode="json")
    return facts


def _show_errors(scored: Scored, folder: Path | None) -> dict[str, Any]:
    from ..predict.error_images import analyze_report

    data = scored.dataset if folder is not None else None
    analyzed = analyze_report(scored.report, data, folder=folder, names=scored.names, announce=announce)
    show(*analyzed.tables)
    if folder is not None:
        say(f"Drawn into {folder}")
    return analyzed.facts


def _show_comparison(scored: Scored, other: Path) -> dict[str, Any]:
    """Show how much this run differs from another on the same images, and how sure that is.

    Returns:
        For the JSON report: `compare`, of `comparison_report`, where `first` is the other run and `second` this one.
    """
    from ..analysis.compare import compare_results, comparison_report, comparison_steps, comparison_tables, read_other
    from ..evaluation.coco import comparable_iou_types

    report, truth = scored.report, scored.report.truth
    assert truth is not None
    with waiting("reading the other run"):
        others = read_other(other, truth, scored.read)
    iou_types = comparable_iou_types(truth, report.results, others)
    with ImageBar("comparing", len(iou_types) * comparison_steps(truth)) as bar:
        differences = {
            iou_type: compare_results(
                truth, others, report.results, iou_type, max_detections=report.max_detections, on_progress=bar.advance
            )
            for iou_type in iou_types
        }
    show(comparison_tables(differences, other.name, "this run"))
    return {"compare": {"other": str(other), **comparison_report(differences)}}


def _compare_numbers(scored: Scored, other: Path) -> dict[str, Any]:
    """Show a benchmark's own numbers of this run beside those of another."""
    from ..analysis.compare import results_of
    from ..evaluation.report import sections_report
    from ..evaluation.sections import difference_tables

    assert scored.read is not None
    assert scored.score is not None
    with waiting("scoring the other run") as step:
        sections = scored.score(scored.read(results_of(other, others=True)), step)
    show(*difference_tables(sections, scored.report.sections, (other.name, "this run")))
    return {"compare_numbers": {"other": str(other), **sections_report(sections)}}
