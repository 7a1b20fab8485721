"""`maskrcnn score`: scores of predictions that were saved, of whatever origin; no model and no image is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..progress import waiting
from .console import require_place
from .datasets import DataFormat, open_data
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
    Scored,
    ScoreFrom,
    SkipInvalid,
    Where,
    finish,
    parse_threshold,
)

if TYPE_CHECKING:
    from ..data.dataset import Contents, Dataset


def score(
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE_OR_DIR", help="Annotation file, or a dataset's folder.")
    ],
    results: Annotated[
        Path, typer.Option("--results", metavar="FILE", help="The predictions: a COCO results file of any program.")
    ],
    images: Images = None,
    split: Annotated[str, typer.Option(help="Split of a folder: `train`, `val` or `test`.")] = "val",
    form: DataFormat = None,
    where: Where = None,
    max_detections: Annotated[int, typer.Option(min=1, help="Limit of predictions per image and class.")] = 100,
    score_threshold: ScoreFrom = None,
    text: IsText = False,
    json: JsonFile = None,
    compare: Compare = None,
    errors: Errors = False,
    worst: Drawn = None,
    output: DrawnInto = ERRORS,
    skip_invalid: SkipInvalid = False,
) -> None:
    """Score saved predictions, of this library or another, on annotated images.

    COCO's numbers for boxes, masks and keypoints, instance accuracy, detected text, panoptic quality.
    """
    from ..predict.evaluation import score as score_predictions

    threshold = parse_threshold(score_threshold)
    analysis = Analysis(compare, errors, worst, output)
    require_place(json)

    def read() -> Dataset:
        return open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)

    contents = _read_annotations(data, split, form)
    chosen = read() if where or skip_invalid else contents
    with waiting("scoring") as step:
        report = score_predictions(
            results, chosen, max_detections=max_detections, score_threshold=threshold, text=text, say=step
        )
    report = report.adding(where=where or [], results_file=str(results.absolute()))
    names = {image["id"]: Path(str(image.get("file_name"))).name for image in contents.coco["images"]}
    finish(Scored(report, read, names), analysis, json)


def _read_annotations(data: Path, split: str, form: str | None) -> Contents:
    """The annotations alone: to score saved predictions, no image is needed."""
    from ..data.formats import read_contents, recognize

    name = form or recognize(data, split)
    # COCO's files say how large the images are, wherever these may be.
    return read_contents(data, split, form=name, images=data if name == "coco" else None)
