"""`maskrcnn evaluate`: scores of a model on annotated data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import ImageBar, waiting
from .console import require_place
from .datasets import DataFormat, ProposalFile, open_data
from .models import AUTO, TORCH, BatchSize, Device, Engine, Flip, Precision, Scales, Source, chosen_tta
from .scoring import (
    ERRORS,
    Analysis,
    Compare,
    Drawn,
    DrawnInto,
    Errors,
    Images,
    IsText,
    JsonFile,
    Model,
    Scored,
    ScoreFrom,
    SkipInvalid,
    Where,
    finish,
    parse_threshold,
)
from .settings import Overrides


def evaluate(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE_OR_DIR", help="Annotation file, or a dataset's folder.")
    ],
    weights: Source,
    overrides: Overrides = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the predictions, for `maskrcnn score` to score them again."),
    ] = None,
    images: Images = None,
    split: Annotated[str, typer.Option(help="Split of a folder: `train`, `val` or `test`.")] = "val",
    form: DataFormat = None,
    where: Where = None,
    proposals: ProposalFile = None,
    score_threshold: ScoreFrom = None,
    text: IsText = False,
    json: JsonFile = None,
    compare: Compare = None,
    errors: Errors = False,
    worst: Drawn = None,
    output: DrawnInto = ERRORS,
    skip_invalid: SkipInvalid = False,
    flip: Flip = False,
    scales: Scales = None,
    batch_size: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Score a model on annotated images: COCO's numbers for boxes, masks and keypoints, instance accuracy, text.

    `maskrcnn score` scores saved predictions, `maskrcnn benchmark` follows the rules of a benchmark.
    """
    from ..predict.evaluation import predict_dataset

    threshold = parse_threshold(score_threshold)
    analysis = Analysis(compare, errors, worst, output)
    for path in (json, results):
        require_place(path)
    model = Model(weights, overrides or [], device, precision, engine, chosen_tta(flip, scales), batch_size, proposals)
    chosen = open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)
    predictor = model.open()
    chosen, match = model.match(predictor, chosen)
    with ImageBar("predicting", len(chosen.records)) as bar:
        found = predict_dataset(predictor, chosen, match, batch_size=batch_size, on_progress=bar.advance)
    facts = {**model.facts(), "where": where or []}
    if results is not None:
        found.results.write(results)
        facts["results_file"] = str(results.absolute())
    with waiting("scoring") as step:
        report = found.score(score_threshold=threshold, text=text, say=step)
    names = {record.image_id: record.path.name for record in chosen.records}
    finish(Scored(report.adding(**facts), lambda: chosen, names), analysis, json)
