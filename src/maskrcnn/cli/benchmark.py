"""`maskrcnn benchmark`: scores by the rules of a benchmark, from its official files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..benchmarks.registry import BENCHMARKS
from ..errors import SettingError
from .analysis import show_comparison, show_errors
from .evaluate import require_place
from .models import AUTO, TORCH, BatchSize, Device, Engine, OptionalSource, Precision, open_predictor
from .progress import PictureBar, waiting
from .proposals import ProposalFile, join_file
from .settings import Overrides
from .views import Flip, Scales, chosen_views

if TYPE_CHECKING:
    from ..benchmarks.benchmark import Benchmark
    from ..benchmarks.run import BenchmarkScores
    from ..evaluation.results import Results
    from ..predict.predictor import Predictor

NOT_PUBLIC = "Its ground truth is not public: --submission writes what its server takes."


def benchmark(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(f'`{name}`' for name in BENCHMARKS)}.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The benchmark's files as unpacked.")],
    weights: OptionalSource = None,
    overrides: Overrides = None,
    split: Annotated[str | None, typer.Option(help="One of the benchmark's; none: its usual one.")] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The predictions: written there with --weights, as a COCO results file; read from there without, "
            "also in the form that the benchmark's server takes.",
        ),
    ] = None,
    submission: Annotated[Path | None, typer.Option(metavar="PATH", help="Write what its server takes.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            help="Results of another run: both side by side, with the interval of the difference.",
        ),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Split what AP lacks into kinds of errors, and list the worst pictures.")
    ] = False,
    pictures: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw the N worst pictures, annotated beside predicted.")
    ] = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of these drawings.")] = Path("errors"),
    max_detections: Annotated[
        int | None, typer.Option(min=1, help="Of the model, per picture; none: as the benchmark counts.")
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="From which predictions count where they are not ranked; none: the weights' own, or 0.5."
        ),
    ] = None,
    proposals: ProposalFile = None,
    flip: Flip = False,
    scales: Scales = None,
    batch: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Score a model, or predictions that were saved, by a benchmark's own rules.

    `maskrcnn benchmark cityscapes --data cityscapes --weights model.safetensors --submission sent`.
    """
    of_model = {"--flip": flip, "--scales": scales, "--proposals": proposals, "--max-detections": max_detections}
    _check(weights, results, compare, of_model | {"settings": overrides})
    from ..benchmarks.registry import find_benchmark, open_benchmark
    from ..benchmarks.run import choose_threshold, require_useful, score_benchmark

    require_place(json)
    require_place(results if weights else None)
    require_place(submission, folder=find_benchmark(name).submits == "folder")
    with waiting("reading the annotations"):
        opened = open_benchmark(name, data, split)
    kept = weights is not None and results is not None
    require_useful(
        opened, submission=submission, score_threshold=score_threshold, predicts=weights is not None, kept=kept
    )
    if (errors or pictures) and opened.truth is None:
        raise SettingError(
            f"--errors, --pictures: the ground truth of {name} {opened.split} is not made of COCO's objects, or not "
            "public."
        )
    told: dict[str, Any] = {}
    predictor = None
    if weights is not None:
        views = chosen_views(flip, scales)
        predictor = open_predictor(
            weights,
            overrides or [],
            device=device,
            precision=precision,
            engine=engine,
            detections=max_detections or opened.max_detections,
            views=views,
        )
        told = {"weights": weights, "settings": overrides or [], "proposals": proposals and str(proposals)}
        told["views"] = views and views.model_dump(mode="json")
        found = _predict(opened, predictor, proposals, batch)
        if results is not None:
            found.write(results)
    else:
        assert results is not None
        with waiting("reading the results"):
            found = opened.read(results)
    if results is not None:
        told["results_file"] = str(results.absolute())
    with waiting("scoring") as step:
        scores = score_benchmark(opened, found, choose_threshold(opened, score_threshold, predictor), say=step)
    if submission is not None:
        opened.submit(found, submission)
        _say(f"Written for the official evaluation: {submission}")
    report = {**scores.report, **{key: value for key, value in told.items() if value is not None}}
    _write(json, report)
    Console().print(_tables(scores))
    _write(json, report | _analyse(scores, compare, errors=errors, pictures=pictures or 0, folder=output))


def _check(weights: str | None, results: Path | None, compare: Path | None, of_model: dict[str, Any]) -> None:
    """Refuse options that say nothing together, and files that are not there, before the long work."""
    if weights is None and results is None:
        raise SettingError(
            "benchmark needs --weights, to predict, or --results, to score what was predicted before. Give one."
        )
    idle = [option for option, value in of_model.items() if value]
    if idle and weights is None:
        raise SettingError(
            f"{idle[0]}: only what a model predicts now can change by this. Give --weights, or leave it out."
        )
    if compare is not None and not compare.exists():
        raise SettingError(f"--compare {compare}: there is no such file. Give the other run's results file or report.")


def _predict(opened: Benchmark, predictor: Predictor, proposals: Path | None, batch: int) -> Results:
    """What a model finds, under a progress bar, after notes on what the classes of both have in common."""
    from ..benchmarks.run import predict_benchmark
    from ..predict.class_match import match_classes

    data = opened.dataset()
    if proposals is not None:
        data = join_file(proposals, data, most=predictor.settings.rpn.proposals)
    for note in match_classes(predictor.classes, data.classes, source=str(data.source)).notes:
        _say(f"Note: {note}.")
    with PictureBar("predicting", len(data.records)) as bar:
        return predict_benchmark(opened, predictor, data, batch=batch, on_progress=bar.advance)


def _tables(scores: BenchmarkScores) -> RenderableType:
    from ..evaluation.tables import section_tables

    tables = section_tables(scores.sections) if scores.benchmark.public else [Text(NOT_PUBLIC)]
    return Group(Text(scores.title, style="bold"), *tables)


def _analyse(
    scores: BenchmarkScores, compare: Path | None, *, errors: bool, pictures: int, folder: Path
) -> dict[str, Any]:
    """What lies behind the scores, shown and for the report."""
    opened, results = scores.benchmark, scores.results
    told: dict[str, Any] = {}
    if compare is not None and opened.public:
        told |= _compare_numbers(scores, compare)
    if opened.truth is not None and (errors or pictures):
        told |= show_errors(
            opened.truth,
            results,
            opened.dataset,
            names=opened.image_names,
            pictures=pictures,
            folder=folder,
            max_detections=opened.max_detections,
        )
    if opened.truth is not None and compare is not None:
        most = opened.max_detections
        told |= show_comparison(opened.truth, results, compare, read=opened.read, max_detections=most)
    return told


def _compare_numbers(scores: BenchmarkScores, other: Path) -> dict[str, Any]:
    """The benchmark's own numbers of this run beside those of another; in the report as `compare_numbers`."""
    from ..evaluation.compare import results_of
    from ..evaluation.report import sections_report
    from ..evaluation.tables import difference_tables

    opened = scores.benchmark
    with waiting("scoring the other run") as step:
        sections = opened.score(opened.read(results_of(other, others=True)), step)
    Console().print(Group(*difference_tables(sections, scores.sections, (other.name, "this run"))))
    return {"compare_numbers": {"other": str(other), **sections_report(sections)}}


def _write(json: Path | None, report: dict[str, Any]) -> None:
    from ..evaluation.report import write_report

    if json is not None:
        write_report(json, report)


def _say(text: str) -> None:
    """Tell people what they should know, beside the results."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
