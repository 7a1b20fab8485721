"""`maskrcnn evaluate`: scores of a model on annotated data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ..progress import ImageBar, waiting
from . import options
from .console import require_place, say
from .datasets import fit_data, open_data
from .scoring import Analysis, Scored, finish, model_facts


def evaluate(
    data: options.Data,
    weights: options.Source,
    overrides: options.PredictionOverrides = None,
    images: options.Images = None,
    split: options.Split = "val",
    form: options.DataFormat = None,
    where: options.Where = None,
    skip_invalid: options.SkipInvalid = False,
    allow_outside: options.AllowOutside = False,
    proposals: options.ProposalFile = None,
    tta: options.TTA = None,
    batch_size: options.BatchSize = 1,
    device: options.Device = None,
    precision: options.Precision = options.AUTO,
    engine: options.Engine = options.TORCH,
    score_threshold: options.ScoreFrom = None,
    errors: options.Errors = False,
    compare: options.Compare = None,
    json: options.JsonFile = None,
    results: Annotated[
        Path | None,
        options.output_option(metavar="FILE", help="Write the predictions, for `maskrcnn score` to score them again."),
    ] = None,
    worst: options.Worst = None,
) -> None:
    """Score a model on annotated images: COCO's numbers for boxes, masks and keypoints, instance accuracy.

    `maskrcnn score` scores saved predictions, also of text; `maskrcnn benchmark` follows the rules of a benchmark.
    """
    from ..predict.evaluation import predict_dataset
    from ..predict.limits import dataset_notes
    from ..predict.predictor import Predictor

    threshold, augmentation = options.parse_threshold(score_threshold), options.parse_tta(tta)
    analysis = Analysis(compare, errors, worst)
    for path in (json, results):
        require_place(path)
    chosen = open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)
    predictor = Predictor(
        weights, settings=overrides, device=device, precision=precision, engine=engine, tta=augmentation
    )
    chosen, match = fit_data(predictor, chosen, proposals)
    for note in dataset_notes(chosen, predictor.settings):
        say(f"Note: {note}")
    with ImageBar("predicting", len(chosen.records)) as bar:
        predicted = predict_dataset(predictor, chosen, match, batch_size=batch_size, on_progress=bar.advance)
    facts = {**model_facts(weights, overrides, augmentation, proposals), "where": where or []}
    if results is not None:
        predicted.results.write(results)
        facts["results_file"] = str(results.absolute())
    with waiting("scoring") as step:
        report = predicted.score(score_threshold=threshold, say=step)
    names = {record.image_id: record.path.name for record in chosen.records}
    finish(Scored(report.adding(**facts), lambda: chosen, names), analysis, json)
