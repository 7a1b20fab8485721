"""`maskrcnn predict`: images to predictions.json and drawn images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..progress import ImageBar
from .console import say
from .models import (
    AUTO,
    TORCH,
    BatchSize,
    Device,
    Engine,
    Flip,
    Precision,
    Scales,
    Source,
    chosen_tta,
    is_setting,
    open_predictor,
)


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES ...",
            help="Files, folders, patterns such as `'photos/*.jpg'`; also settings such as "
            "`box_head.detections_per_image=300`.",
        ),
    ],
    weights: Source,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for the results.")] = Path(
        "predictions"
    ),
    score_threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Draw objects with at least this score; default: as stored in the weights, or 0.5."
        ),
    ] = None,
    polygons: Annotated[
        Literal["quad", "contour"] | None,
        typer.Option(help="Also write a polygon for each object: a rotated rectangle, or the contour of the mask."),
    ] = None,
    images: Annotated[bool, typer.Option("--draw/--no-draw", help="Draw the objects.")] = True,
    flip: Flip = False,
    scales: Scales = None,
    batch_size: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Find the objects in images.

    Writes `predictions.json` with boxes, classes, scores, masks and keypoints of all objects, and one drawn image
    each. An image that cannot be read does not stop the others; it is named, and the exit code is 1.
    """
    from ..predict.files import DRAWINGS, PREDICTIONS, find_inputs, predict_files

    overrides = [word for word in words if is_setting(word)]
    paths = find_inputs([word for word in words if word not in overrides], output)
    tta = chosen_tta(flip, scales)
    predictor = open_predictor(weights, overrides, device=device, precision=precision, engine=engine, tta=tta)
    with ImageBar("predicting", len(paths)) as bar:
        outcome = predict_files(
            predictor,
            paths,
            output,
            draw=images,
            score_threshold=score_threshold,
            polygons=polygons,
            batch_size=batch_size,
            on_progress=bar.advance,
        )
    score = outcome.shown_from
    drawn = "" if score is None else f"; those with a score from {score:g} on drawn in {output / DRAWINGS}"
    say(f"{outcome.objects} objects in {outcome.images} images: {output / PREDICTIONS}{drawn}")
    if outcome.failed:
        for message in outcome.failed:
            say(f"Error: {message}")
        say(f"{len(outcome.failed)} of {len(paths)} images could not be read; {PREDICTIONS} lists them too.")
        raise typer.Exit(1)
