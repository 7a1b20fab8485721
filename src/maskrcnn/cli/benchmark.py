"""`maskrcnn benchmark`: scores by the rules of a benchmark, from its official files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..benchmarks.registry import BENCHMARKS
from ..errors import SettingError
from ..progress import ImageBar, waiting
from .console import require_place, say
from .datasets import ProposalFile
from .models import AUTO, TORCH, BatchSize, Device, Engine, Flip, OptionalSource, Precision, Scales, chosen_tta
from .scoring import ERRORS, Analysis, Compare, Drawn, DrawnInto, Errors, JsonFile, Model, Scored, finish
from .settings import Overrides

if TYPE_CHECKING:
    from ..benchmarks.benchmark import Benchmark
    from ..evaluation.results import Results
    from ..predict.predictor import Predictor


def benchmark(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(f'`{name}`' for name in BENCHMARKS)}.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the benchmark's files, unpacked.")],
    weights: OptionalSource = None,
    overrides: Overrides = None,
    split: Annotated[str | None, typer.Option(help="One of the benchmark's splits; default: its first one.")] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The predictions: written there with --weights, as a COCO results file; read from there without, "
            "also in the form that the benchmark's server takes.",
        ),
    ] = None,
    submission: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the file or folder for the benchmark's server.")
    ] = None,
    json: JsonFile = None,
    compare: Compare = None,
    errors: Errors = False,
    images: Drawn = None,
    output: DrawnInto = ERRORS,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Least score of predictions that are not ranked; default: as stored in the weights, or 0.5.",
        ),
    ] = None,
    proposals: ProposalFile = None,
    flip: Flip = False,
    scales: Scales = None,
    batch_size: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Score a model, or saved predictions, by the rules of a benchmark.

    `maskrcnn benchmark cityscapes --data cityscapes --weights model.safetensors --submission sent`.
    """
    _check(weights, results, {"--flip": flip, "--scales": scales, "--proposals": proposals, "settings": overrides})
    analysis = Analysis(compare, errors, images, output)
    require_place(json)
    require_place(results if weights else None)
    opened = _open(name, data, split, submission, analysis)
    from ..benchmarks.run import require_useful, score_benchmark

    predicts, kept = weights is not None, weights is not None and results is not None
    require_useful(opened, submission=submission, score_threshold=score_threshold, predicts=predicts, kept=kept)
    facts: dict[str, Any] = {}
    predictor = None
    if weights is not None:
        model = Model(
            weights, overrides or [], device, precision, engine, chosen_tta(flip, scales), batch_size, proposals
        )
        predictor, facts = model.open(opened.max_detections), model.facts()
        found = _predict(opened, predictor, model)
        if results is not None:
            found.write(results)
    else:
        assert results is not None
        with waiting("reading the results"):
            found = opened.read(results)
    if results is not None:
        facts["results_file"] = str(results.absolute())
    with waiting("scoring") as step:
        report = score_benchmark(opened, found, predictor, score_threshold=score_threshold, say=step)
    if submission is not None:
        opened.submit(found, submission)
        say(f"Written for the official evaluation: {submission}")
    score = opened.score if opened.public else None
    finish(Scored(report.adding(**facts), opened.dataset, opened.image_names, opened.read, score), analysis, json)
    if not opened.public:
        say("Its ground truth is not public: --submission writes what its server takes.")


def _check(weights: str | None, results: Path | None, of_model: dict[str, Any]) -> None:
    """Refuse options that say nothing together."""
    if weights is None and results is None:
        raise SettingError(
            "benchmark needs --weights, to predict, or --results, to score what was predicted before. Give one."
        )
    idle = [option for option, value in of_model.items() if value]
    if idle and weights is None:
        raise SettingError(
            f"{idle[0]}: only what a model predicts now can change by this. Give --weights, or leave it out."
        )


def _open(name: str, folder: Path, split: str | None, submission: Path | None, analysis: Analysis) -> Benchmark:
    """The benchmark's split, for which the analysis makes sense."""
    from ..benchmarks.registry import find_benchmark, open_benchmark

    require_place(submission, folder=find_benchmark(name).submits == "folder")
    with waiting("reading the annotations"):
        opened = open_benchmark(name, folder, split)
    if (analysis.errors or analysis.images) and opened.truth is None:
        raise SettingError(
            f"--errors, --worst: the ground truth of {name} {opened.split} is not made of COCO's objects, or not "
            "public."
        )
    return opened


def _predict(opened: Benchmark, predictor: Predictor, model: Model) -> Results:
    """What a model finds, under a progress bar."""
    from ..benchmarks.run import predict_benchmark

    data, match = model.match(predictor, opened.dataset())
    with ImageBar("predicting", len(data.records)) as bar:
        return predict_benchmark(opened, predictor, data, match, batch_size=model.batch_size, on_progress=bar.advance)
