"""`maskrcnn benchmark`: scores by the rules of a benchmark, from its official files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..benchmarks.registry import BENCHMARKS
from ..errors import SettingError
from ..progress import ImageBar, waiting
from . import options
from .console import require_place, say
from .datasets import fit_data
from .scoring import Analysis, Scored, finish, model_facts

if TYPE_CHECKING:
    from ..benchmarks.benchmark import Benchmark


def benchmark(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(f'`{name}`' for name in BENCHMARKS)}.")],
    data: Annotated[
        Path, options.data_option("--data", metavar="DIR", help="Folder of the benchmark's files, unpacked.")
    ],
    overrides: options.PredictionOverrides = None,
    split: Annotated[
        str | None, options.data_option(metavar="NAME", help="One of the benchmark's splits; default: its first one.")
    ] = None,
    proposals: options.ProposalFile = None,
    weights: options.OptionalSource = None,
    tta: options.TTA = None,
    batch_size: options.BatchSize = 1,
    device: options.Device = None,
    precision: options.Precision = options.AUTO,
    engine: options.Engine = options.TORCH,
    score_threshold: Annotated[
        float | None,
        options.scoring_option(
            metavar="SCORE",
            min=0,
            max=1,
            help="Least score of predictions that are not ranked; default: as stored in the weights, or 0.5.",
        ),
    ] = None,
    errors: options.Errors = False,
    compare: options.Compare = None,
    json: options.JsonFile = None,
    results: Annotated[
        Path | None,
        options.output_option(
            metavar="FILE",
            help="The predictions: written there with --weights, as a COCO results file; read from there without, "
            "also in the form that the benchmark's server takes.",
        ),
    ] = None,
    submission: Annotated[
        Path | None, options.output_option(metavar="PATH", help="Write the file or folder for the benchmark's server.")
    ] = None,
    worst: options.Worst = None,
) -> None:
    """Score a model, or saved predictions, by the rules of a benchmark.

    `maskrcnn benchmark cityscapes --data cityscapes --weights model.safetensors --submission sent`.
    """
    _check(weights, results, {"--tta": tta, "--proposals": proposals, "settings": overrides})
    analysis, augmentation = Analysis(compare, errors, worst), options.parse_tta(tta)
    require_place(json)
    require_place(results if weights else None)
    opened = _open(name, data, split, submission, analysis)
    from ..benchmarks.run import predict_benchmark, require_useful, score_benchmark
    from ..predict.predictor import Predictor

    predicts, kept = weights is not None, weights is not None and results is not None
    require_useful(opened, submission=submission, score_threshold=score_threshold, predicts=predicts, kept=kept)
    facts: dict[str, Any] = {}
    predictor = None
    if weights is not None:
        changes = [f"box_head.detections_per_image={opened.max_detections}", *(overrides or [])]
        predictor = Predictor(
            weights, settings=changes, device=device, precision=precision, engine=engine, tta=augmentation
        )
        facts = model_facts(weights, overrides, augmentation, proposals)
        chosen, match = fit_data(predictor, opened.dataset(), proposals)
        with ImageBar("predicting", len(chosen.records)) as bar:
            predicted = predict_benchmark(
                opened, predictor, chosen, match, batch_size=batch_size, on_progress=bar.advance
            )
        if results is not None:
            predicted.write(results)
    else:
        assert results is not None
        with waiting("reading the results"):
            predicted = opened.read(results)
    if results is not None:
        facts["results_file"] = str(results.absolute())
    with waiting("scoring") as step:
        report = score_benchmark(opened, predicted, predictor, score_threshold=score_threshold, say=step)
    if submission is not None:
        opened.submit(predicted, submission)
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
    if analysis.needs_objects and opened.truth is None:
        raise SettingError(
            f"--errors, --worst: the ground truth of {name} {opened.split} is not made of COCO's objects, or not "
            "public."
        )
    return opened
