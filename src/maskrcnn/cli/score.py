"""`maskrcnn score`: scores of predictions that were saved, of whatever origin; no model and no image is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..progress import waiting
from . import options
from .console import require_place
from .datasets import open_data
from .scoring import Analysis, Scored, finish

if TYPE_CHECKING:
    from ..data.dataset import Dataset


def score(
    data: options.Data,
    results: Annotated[
        Path,
        options.data_option(
            "--results", metavar="FILE", help="A COCO results file of any program, or `predictions.json`."
        ),
    ],
    images: options.Images = None,
    split: options.Split = "val",
    form: options.DataFormat = None,
    where: options.Where = None,
    skip_invalid: options.SkipInvalid = False,
    allow_outside: options.AllowOutside = False,
    max_detections: Annotated[
        int, options.scoring_option(metavar="N", min=1, help="Limit of predictions per image and class.")
    ] = 100,
    score_threshold: options.ScoreFrom = None,
    text: Annotated[
        bool,
        options.scoring_option(
            "--text", help="The objects are words: also precision, recall and hmean by three rules."
        ),
    ] = False,
    errors: options.Errors = False,
    compare: options.Compare = None,
    json: options.JsonFile = None,
    worst: options.Worst = None,
) -> None:
    """Score saved predictions, of this library or another, on annotated images.

    COCO's numbers for boxes, masks and keypoints, instance accuracy, detected text, panoptic quality.
    """
    from ..predict.evaluation import read_annotations
    from ..predict.evaluation import score as score_predictions

    threshold = options.parse_threshold(score_threshold)
    analysis = Analysis(compare, errors, worst)
    require_place(json)

    def read() -> Dataset:
        return open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)

    contents = read_annotations(data, split, form=form)
    chosen = read() if where or skip_invalid else contents
    with waiting("scoring") as step:
        report = score_predictions(
            results, chosen, max_detections=max_detections, score_threshold=threshold, text=text, say=step
        )
    report = report.adding(where=where or [], results_file=str(results.absolute()))
    names = {image["id"]: Path(str(image.get("file_name"))).name for image in contents.coco["images"]}
    finish(Scored(report, read, names), analysis, json)
