"""`maskrcnn predict`: images to predictions.json and drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..progress import ImageBar, announce, counted
from . import options
from .console import INTERRUPTED, say

if TYPE_CHECKING:
    from ..predict.files import PredictedFiles

ExportFormat = Literal["coco", "yolo", "labelme", "cvat", "label-studio", "geojson"]


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES ...",
            help="Files, folders, patterns such as `'photos/*.jpg'`; also settings such as "
            "`box_head.detections_per_image=300`.",
        ),
    ],
    weights: options.Source,
    tta: options.TTA = None,
    batch_size: options.BatchSize = 1,
    device: options.Device = None,
    precision: options.Precision = options.AUTO,
    engine: options.Engine = options.TORCH,
    output: Annotated[Path, options.output_option("--output", metavar="DIR", help="Folder for the results.")] = Path(
        "predictions"
    ),
    score_threshold: Annotated[
        float | None,
        options.output_option(
            metavar="SCORE",
            min=0,
            max=1,
            help="Draw, and write with `--format`, objects with at least this score; default: as stored in the "
            "weights, or 0.5.",
        ),
    ] = None,
    no_draw: Annotated[bool, options.output_option("--no-draw", help="Draw no images.")] = False,
    resume: Annotated[
        bool, options.output_option("--resume", help="Keep what an earlier call has predicted, and do the rest.")
    ] = False,
    form: Annotated[
        ExportFormat | None,
        options.output_option(
            "--format",
            metavar="NAME",
            help="Also write annotations to correct, with the images, into a folder of this name: `coco`, `yolo`, "
            "`labelme`, `cvat`, `label-studio` or `geojson`.",
        ),
    ] = None,
    polygons: Annotated[
        Literal["quad", "contour"] | None,
        options.output_option(
            metavar="KIND",
            help="Also write a polygon for each object: `quad`, a rotated rectangle, or `contour`, that of the mask.",
        ),
    ] = None,
) -> None:
    """Find the objects in images.

    Writes `predictions.json` with boxes, classes, scores, masks and keypoints of all objects, and one drawn image
    each. An image that cannot be read does not stop the others; it is named, and the exit code is 1.
    """
    from ..predict.class_match import find_threshold
    from ..predict.export import export_predictions, require_new
    from ..predict.files import PREDICTIONS, find_inputs, predict_files
    from ..predict.predictor import Predictor

    if form is not None:
        require_new(output / form)
    overrides = [word for word in words if options.is_setting(word)]
    paths, others = find_inputs([word for word in words if word not in overrides], output)
    augmentation = options.parse_tta(tta)
    predictor = Predictor(
        weights, settings=overrides, device=device, precision=precision, engine=engine, tta=augmentation
    )
    try:
        with ImageBar("predicting", len(paths)) as bar:
            done = predict_files(
                predictor,
                paths,
                output,
                draw=not no_draw,
                score_threshold=score_threshold,
                polygons=polygons,
                batch_size=batch_size,
                resume=resume,
                on_progress=bar.advance,
            )
    except KeyboardInterrupt:
        say(f"Stopped. What was predicted is in {output / PREDICTIONS}; the same command with --resume does the rest.")
        raise typer.Exit(INTERRUPTED) from None
    _print_done(done, others, output)
    if form is not None:
        least = find_threshold(score_threshold, predictor.notes).score
        written = export_predictions(
            output / PREDICTIONS, form, output / form, score_threshold=least, announce=announce
        )
        say(f"{counted(written, 'object')} with a score from {least:g} on to correct: {output / form}")
    if done.failed:
        for message in done.failed:
            say(f"Error: {message}")
        say(f"{len(done.failed)} of {counted(len(paths), 'image')} could not be read; {PREDICTIONS} lists them too.")
        raise typer.Exit(1)


def _print_done(done: PredictedFiles, others: list[Path], output: Path) -> None:
    """What was found, where it is, and what people should know about it."""
    from ..data.readers.contents import list_some
    from ..predict.files import DRAWINGS, PREDICTIONS

    score = done.shown_from
    drawn = "" if score is None else f"; those with a score from {score:g} on drawn in {output / DRAWINGS}"
    if done.values:
        say(f"{done.values}. Set it where these images are a part of others.")
    for note in done.notes:
        say(f"Note: {note}")
    if others:
        kind = "is no image" if len(others) == 1 else "are no images"
        say(f"Left out {counted(len(others), 'file')} that {kind}: {list_some([path.name for path in others])}.")
    counts = f"{counted(done.objects, 'object')} in {counted(done.images, 'image')}"
    say(f"{counts}: {output / PREDICTIONS}{drawn}")
