"""What the verbs that score have in common: options, the scores shown and written, and what lies behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from ..config import TTASettings
from ..errors import SettingError
from ..progress import waiting
from .analysis import show_comparison, show_errors
from .console import say, show
from .models import EngineName, PrecisionName, open_predictor

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..evaluation.report import Report
    from ..evaluation.results import Results
    from ..evaluation.sections import Say, Section
    from ..predict.class_match import ClassMatch
    from ..predict.predictor import Predictor

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=VALUE", help="Only images whose records have this value, e.g. `gray=true`; repeatable."
    ),
]
Images = Annotated[
    Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if not beside the file.")
]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")]
ScoreFrom = Annotated[
    str | None,
    typer.Option(
        "--score-threshold",
        metavar="NUMBER|best",
        help="Least score of predictions where they are not ranked, as in instance accuracy; default: as stored in the "
        "weights, or 0.5; `best`: the one with the best accuracy on these images.",
    ),
]
IsText = Annotated[
    bool, typer.Option("--text", help="The objects are words: also precision, recall and hmean by three rules.")
]
Compare = Annotated[
    Path | None,
    typer.Option(
        metavar="OTHER",
        help="Results file, or scores of --json, of another run on the same images: both side by side, with the "
        "interval of the difference.",
    ),
]
Errors = Annotated[
    bool, typer.Option("--errors", help="Split the missing AP into kinds of errors, and list the worst images.")
]
Drawn = Annotated[
    int | None,
    typer.Option(
        "--worst", metavar="N", min=1, help="Draw the N worst images, annotated objects beside predicted ones."
    ),
]
DrawnInto = Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for these drawings.")]
ERRORS = Path("errors")
ORIGINS = {
    "given": "was given",
    "weights": "is the weights' own, chosen on their training images",
    "default": "is the usual one; --score-threshold best finds a better one, on training images",
    "chosen": "is the best on these very images: use it on others",
}


@dataclass(frozen=True)
class Model:
    """The model that predicts, as the options describe it."""

    weights: str
    settings: Sequence[str]
    device: str | None
    precision: PrecisionName
    engine: EngineName
    tta: TTASettings | None
    batch_size: int
    proposals: Path | None = None

    def open(self, detections: int | None = None) -> Predictor:
        """Read the weights; `detections` per image where the settings do not say."""
        return open_predictor(
            self.weights,
            self.settings,
            device=self.device,
            precision=self.precision,
            engine=self.engine,
            detections=detections,
            tta=self.tta,
        )

    def facts(self) -> dict[str, Any]:
        """What a report says of it."""
        facts: dict[str, Any] = {"weights": self.weights, "settings": list(self.settings)}
        if self.proposals:
            facts["proposals"] = str(self.proposals)
        if self.tta:
            facts["tta"] = self.tta.model_dump(mode="json")
        return facts

    def match(self, predictor: Predictor, data: Dataset) -> tuple[Dataset, ClassMatch]:
        """The dataset, with the proposals of a file if there is one, and its classes; notes on these are said."""
        from ..predict.class_match import match_classes

        if self.proposals:
            from ..predict.proposals import read_proposal_file

            data = read_proposal_file(self.proposals, data, most=predictor.settings.rpn.post_nms_top_n)
        match = match_classes(predictor.classes, data.classes, source=str(data.source))
        for note in match.notes:
            say(f"Note: {note}.")
        return data, match


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
        SettingError: The file of the other run is missing, which is said before the long work.
    """

    compare: Path | None = None
    errors: bool = False
    images: int | None = None
    folder: Path = ERRORS

    def __post_init__(self) -> None:
        if self.compare is not None and not self.compare.exists():
            raise SettingError(
                f"--compare {self.compare}: there is no such file. Give the other run's results file or report."
            )

    def show(self, scored: Scored) -> dict[str, Any]:
        """Show it, and give what a report holds of it."""
        report, facts = scored.report, dict[str, Any]()
        if self.compare is not None and scored.score is not None:
            facts |= _compare_numbers(scored, self.compare)
        if report.truth is None:
            return facts
        if self.errors or self.images:
            facts |= show_errors(report, scored.dataset, names=scored.names, drawn=self.images or 0, folder=self.folder)
        if self.compare is not None:
            facts |= show_comparison(report, self.compare, read=scored.read)
        return facts


def finish(scored: Scored, analysis: Analysis, json: Path | None) -> None:
    """Show and write the scores, then what lies behind them."""
    report = scored.report
    if json is not None:
        report.write(json)  # already here: the analysis may take long, or find a file that it cannot use
    show(report.table())
    if "accuracy" in report:
        show(f"The score threshold {ORIGINS[report.facts['score_threshold_from']]}.")
    found = analysis.show(scored)
    if json is not None and found:
        report.adding(**found).write(json)


def parse_threshold(words: str | None) -> float | Literal["best"] | None:
    """The value of `--score-threshold`.

    Raises:
        SettingError: It is neither a number from 0 to 1 nor `best`.
    """
    if words is None or words == "best":
        return words  # type: ignore[return-value]
    try:
        number = float(words)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SettingError(f"--score-threshold {words}: must be a number from 0 to 1, or best. Correct it.")
    return number


def _compare_numbers(scored: Scored, other: Path) -> dict[str, Any]:
    """Show a benchmark's own numbers of this run beside those of another."""
    from ..analysis.compare import results_of
    from ..evaluation.report import sections_report
    from ..evaluation.sections import difference_tables

    assert scored.read is not None
    assert scored.score is not None
    with waiting("scoring the other run") as step:
        sections = scored.score(scored.read(results_of(other, others=True)), step)
    show(Group(*difference_tables(sections, scored.report.sections, (other.name, "this run"))))
    return {"compare_numbers": {"other": str(other), **sections_report(sections)}}
