"""`maskrcnn evaluate`: scores of a model, or of saved predictions, on annotated data or by a benchmark's rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..errors import SettingError
from .benchmarks import NAMES, Wanted, compare_benchmark, score_benchmark
from .data_sets import DataFormat, ProposalFile, open_data
from .models import AUTO, TORCH, BatchSize, Device, Engine, OptionalSource, Precision
from .scoring import (
    Model,
    Rule,
    Scored,
    say,
    score_data,
    score_saved,
)
from .settings import Overrides
from .views import Flip, Scales, chosen_views

if TYPE_CHECKING:
    from ..data.records import CocoData, Contents

ORIGINS = {
    "given": "was given",
    "weights": "is the weights' own, chosen on their training pictures",
    "default": "is the usual one; --choose-score-threshold finds a better one, on training pictures",
    "chosen": "is the best on these very pictures: use it on others",
}


def evaluate(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE_OR_DIR", help="Annotation file, or a data set's folder.")
    ],
    weights: OptionalSource = None,
    overrides: Overrides = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Score by the rules of a benchmark, --data being its files as unpacked: " + NAMES,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The predictions, as a COCO results file: written there with --weights, read "
            "from there without, to score them again. Of a benchmark also what its server takes.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if not beside the file.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of a folder: `train`, `val` or `test`; of a benchmark: its own. Usually `val`.")
    ] = None,
    form: DataFormat = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=VALUE", help="Only pictures whose records say so, e.g. `gray=true`; repeatable."),
    ] = None,
    proposals: ProposalFile = None,
    max_detections: Annotated[
        int | None,
        typer.Option(min=1, help="Per picture, of the model and of the scores; none: as the weights have it."),
    ] = None,
    score_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="From which predictions count where they are not ranked, as in instance accuracy; none: as the "
            "weights note, or 0.5.",
        ),
    ] = None,
    choose_score_threshold: Annotated[
        bool, typer.Option("--choose-score-threshold", help="Find the one with the best accuracy on these pictures.")
    ] = False,
    text: Annotated[
        bool, typer.Option("--text", help="The objects are words: precision, recall and hmean by three rules, too.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.")] = None,
    submission: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Of a benchmark: write what its server takes.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            help="Results file, or scores of --json, of another run on the same pictures: "
            "both side by side, with the interval of the difference.",
        ),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Split what AP lacks into kinds of errors, and list the worst pictures.")
    ] = False,
    pictures: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw the N worst pictures, annotated beside predicted.")
    ] = None,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of these drawings.")] = Path("errors"),
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    flip: Flip = False,
    scales: Scales = None,
    batch: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Score a model, or predictions that were saved, on annotated pictures.

    COCO's numbers for boxes, masks and keypoints, instance accuracy, detected text; or those of a benchmark.

    Again from saved predictions, without the model: `maskrcnn evaluate --data val.json --results results.json`.
    """
    given = {
        "--weights": weights is not None,
        "--results": results is not None,
        "--benchmark": benchmark is not None,
        "--submission": submission is not None,
        "--images": images is not None,
        "--format": form is not None,
        "--where": bool(where),
        "--skip-invalid": skip_invalid,
        "--text": text,
        "--score-threshold": score_threshold is not None,
        "--choose-score-threshold": choose_score_threshold,
    }
    of_models = {"--flip": flip, "--scales": scales, "--proposals": proposals, "settings": overrides}
    _check(given, of_models | {"--max-detections": max_detections if benchmark else None})
    _require_places(json, results if weights else None, submission, benchmark)
    _require_there(compare)
    model = None
    if weights is not None:
        views = chosen_views(flip, scales)
        model = Model(weights, overrides or [], device, precision, engine, max_detections, views, batch, proposals)
    keep = _keep(results if weights else None)
    rule = Rule(score_threshold, choose_score_threshold, text)
    own = split or "val"

    def read() -> CocoData:
        return open_data(data, own, images=images, form=form, where=where, skip_invalid=skip_invalid)

    if benchmark is not None:
        wanted = Wanted(submission, score_threshold, errors or pictures is not None)
        scored = score_benchmark(benchmark, data, split, model, results, keep, wanted)
    elif model is not None:
        scored = score_data(read, model, rule, keep)
    else:
        assert results is not None
        contents, restricted = _read_contents(data, own, form), bool(where) or skip_invalid
        scored = score_saved(contents, results, read, rule, restricted=restricted, max_detections=max_detections)
    told = {"where": where or []} | ({"results_file": str(results.absolute())} if results else {})
    _finish(scored, told, json, submission)
    found = _analyse(scored, compare, errors=errors, pictures=pictures or 0, folder=output)
    _write(json, {**scored.report, **told, **found})


def _check(options: dict[str, bool], of_models: dict[str, Any]) -> None:
    """Refuse options that say nothing together.

    Args:
        options: Which were given, by their names.
        of_models: What says nothing where no model predicts, by its option.
    """
    if not options["--weights"] and not options["--results"]:
        raise SettingError(
            "evaluate needs --weights, to predict, or --results, to score what was predicted before. Give one."
        )
    if options["--score-threshold"] and options["--choose-score-threshold"]:
        raise SettingError("--score-threshold and --choose-score-threshold were both given. Give one of them.")
    idle = [name for name, value in of_models.items() if value]
    if idle and not options["--weights"]:
        raise SettingError(
            f"{idle[0]}: only what a model predicts now can change by this. Give --weights, or leave it out."
        )
    others = ("--images", "--format", "--where", "--skip-invalid", "--text", "--choose-score-threshold")
    refused = [name for name in others if options[name]] if options["--benchmark"] else []
    if refused:
        raise SettingError(f"{refused[0]}: a benchmark has its own files and rules. Leave it out, or --benchmark.")
    if options["--submission"] and not options["--benchmark"]:
        raise SettingError("--submission: only the server of a benchmark takes one. Name it with --benchmark.")


def _read_contents(data: Path, split: str, form: str | None) -> Contents:
    """The annotations alone: to score saved predictions, no picture is needed."""
    from ..data.formats import read_contents, recognise

    name = form or recognise(data, split)
    # COCO's files say how large the pictures are, wherever these may be.
    return read_contents(data, split, form=name, images=data if name == "coco" else None)


def _keep(path: Path | None) -> Callable[[Sequence[dict[str, Any]]], None]:
    """What writes predictions before they are scored."""
    from ..evaluate.results import write_results

    def keep(records: Sequence[dict[str, Any]]) -> None:
        if path is not None:
            write_results(path, records)

    return keep


def _analyse(scored: Scored, compare: Path | None, *, errors: bool, pictures: int, folder: Path) -> dict[str, Any]:
    """What lies behind the scores, shown and for the report."""
    from .analysis import show_comparison, show_errors

    told: dict[str, Any] = {}
    if not errors and not pictures and compare is None:
        return told
    truth, records, most = scored.truth, scored.records, scored.max_detections
    if compare is not None:
        told |= compare_benchmark(scored, compare, Console())
    if truth is None:
        return told
    if errors or pictures:
        told |= show_errors(
            truth,
            records,
            scored.pictures,
            names=scored.names,
            pictures=pictures,
            folder=folder,
            max_detections=most,
        )
    if compare is not None:
        told |= show_comparison(truth, records, compare, read=scored.read, max_detections=most)
    return told


def _finish(scored: Scored, told: dict[str, Any], json: Path | None, submission: Path | None) -> None:
    """Write what is to be written, and show the scores."""
    if submission is not None and scored.opened is not None and scored.opened.submit is not None:
        scored.opened.submit(scored.records, submission)
        say(f"Written for the official evaluation: {submission}")
    _write(json, {**scored.report, **told})
    Console().print(scored.tables)
    if "accuracy_score_threshold_from" in scored.report:
        Console().print(f"The score threshold {ORIGINS[scored.report['accuracy_score_threshold_from']]}.")


def _write(json: Path | None, report: dict[str, Any]) -> None:
    from ..evaluate.report import write_report

    if json is not None:
        write_report(json, report)


def _require_places(json: Path | None, results: Path | None, submission: Path | None, benchmark: str | None) -> None:
    from ..predict.benchmarks.table import find_benchmark

    require_place(json)
    require_place(results)
    require_place(submission, folder=benchmark is not None and find_benchmark(benchmark).folder)


def _require_there(compare: Path | None) -> None:
    """Say that the other run's file is missing before the long work, not after it."""
    if compare is not None and not compare.exists():
        raise SettingError(f"--compare {compare}: there is no such file. Give the other run's results file or report.")


def require_place(path: Path | None, *, folder: bool = False) -> None:
    """Say that a file, or a folder's files, cannot be written before the long work, not after it."""
    if path is None:
        return
    above = next(parent for parent in path.absolute().parents if parent.exists())
    taken = path.is_dir() and not folder
    if taken or not above.is_dir() or not os.access(above, os.W_OK):
        wrong = "this is a folder" if taken else f"{above} cannot be written to"
        raise SettingError(f"{path}: {wrong}, but a file is to be written there. Give another path.")
