"""`maskrcnn predict`: pictures to predictions.json and drawn pictures."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from ..errors import DataError
from ..progress import PictureBar
from .models import AUTO, TORCH, BatchSize, Device, Engine, Precision, Source, is_setting, open_predictor
from .views import Flip, Scales, chosen_views


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURES ...",
            help="Files, folders, patterns such as `'photos/*.jpg'`; also settings such as "
            "`model.box_head.detections=300`.",
        ),
    ],
    weights: Source,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where results go.")] = Path("predictions"),
    score_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Draw objects from this score on; none: as the weights note, or 0.5."),
    ] = None,
    polygons: Annotated[
        Literal["quad", "contour"] | None,
        typer.Option(
            help="Also write a polygon for each object: a rectangle at any angle, or the outline.",
        ),
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw the objects.")] = True,
    flip: Flip = False,
    scales: Scales = None,
    batch: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Find the objects in pictures.

    Writes `predictions.json` with boxes, classes, scores, masks and keypoints of all objects, and one drawn picture
    each. A picture that cannot be read does not stop the others; it is named, and the exit code is 1.
    """
    from ..predict.files import DRAWINGS, PREDICTIONS, predict_files
    from ..predict.segments import SEGMENTS
    from ..predict.sources import find_pictures
    from ..predict.thresholds import find_threshold

    overrides = [word for word in words if is_setting(word)]
    ours = [output / DRAWINGS, output / SEGMENTS]
    paths = find_pictures([word for word in words if word not in overrides], leave_out=ours)
    if not paths:
        raise DataError("no picture was named. Give files, folders or patterns such as 'photos/*.jpg'.")
    views = chosen_views(flip, scales)
    predictor = open_predictor(weights, overrides, device=device, precision=precision, engine=engine, views=views)
    shown_from = find_threshold(score_threshold, predictor.notes).score if pictures else None
    with PictureBar("predicting", len(paths)) as bar:
        outcome = predict_files(
            predictor,
            paths,
            output,
            shown_from=shown_from,
            polygons=polygons,
            batch=batch,
            on_progress=bar.advance,
        )
    drawn = "" if shown_from is None else f"; those with a score from {shown_from:g} on drawn in {output / DRAWINGS}"
    _say(f"{outcome.objects} objects in {outcome.pictures} pictures: {output / PREDICTIONS}{drawn}")
    if outcome.failed:
        for message in outcome.failed:
            _say(f"Error: {message}")
        _say(f"{len(outcome.failed)} of {len(paths)} pictures could not be read; {PREDICTIONS} lists them too.")
        raise typer.Exit(1)


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
