"""`maskrcnn evaluate`: a model's scores on an annotated data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..errors import SettingError
from .models import AUTO, BatchSize, Device, Precision, Source, open_predictor
from .progress import PictureBar
from .proposals import ProposalFile, join_file
from .settings import Overrides
from .views import Flip, Scales, chosen_views

if TYPE_CHECKING:
    from ..data.records import CocoData
    from ..predict.evaluation import Evaluation
    from ..predict.predictor import Predictor

ORIGINS = {
    "given": "was given",
    "weights": "is the weights' own, chosen on their training pictures",
    "default": "is the usual one; --choose-score-threshold finds a better one, on training pictures",
    "chosen": "is the best on these very pictures: use it on others",
}


def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="JSON_OR_DIR", help="COCO file, or a data set's folder.")],
    weights: Source,
    overrides: Overrides = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if not beside the file.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of a folder: `train`, `val` or `test`.")] = "val",
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
        typer.Option(min=0, max=1, help="Of instance accuracy; none: as the weights note, or 0.5."),
    ] = None,
    choose_score_threshold: Annotated[
        bool, typer.Option("--choose-score-threshold", help="Find the one with the best accuracy on these pictures.")
    ] = False,
    text: Annotated[
        bool, typer.Option("--text", help="The objects are words: precision, recall and hmean by three rules, too.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.")] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the predictions as a COCO results file.")
    ] = None,
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    flip: Flip = False,
    scales: Scales = None,
    batch: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
) -> None:
    """Score a model on annotated pictures.

    COCO's numbers for boxes, masks and keypoints, instance accuracy, detected text.
    """
    from ..evaluate.report import report_tables, write_report
    from ..evaluate.results import write_results

    if choose_score_threshold and score_threshold is not None:
        raise SettingError("--score-threshold and --choose-score-threshold were both given. Give one of them.")
    for path in (json, results):
        require_place(path)
    chosen = read_annotated(data, split, images, where or [], skip_invalid)
    views = chosen_views(flip, scales)
    predictor = open_predictor(
        weights, overrides or [], device=device, precision=precision, detections=max_detections, views=views
    )
    if proposals:
        chosen = join_file(proposals, chosen, most=predictor.settings.rpn.proposals)
    found = _evaluate(
        predictor,
        chosen,
        score_threshold=score_threshold,
        choose_score_threshold=choose_score_threshold,
        text=text,
        batch=batch,
    )
    if json:
        told: dict[str, Any] = {"weights": weights, "settings": overrides or [], "where": where or []}
        if proposals:
            told["proposals"] = str(proposals)
        if views:
            told["views"] = views.model_dump(mode="json")
        write_report(json, {**found.report, **told})
    if results:
        write_results(results, found.results)
    Console().print(report_tables(found.report))
    if "accuracy" in found.report:
        Console().print(f"The score threshold {ORIGINS[found.report['accuracy_score_threshold_from']]}.")


def read_annotated(data: Path, split: str, images: Path | None, where: list[str], skip_invalid: bool) -> CocoData:
    """The pictures of one split that fit some conditions; objects that are left out are named."""
    from ..data.readers.coco import read_coco
    from ..data.readers.coco_folders import find_coco
    from ..data.selection import select_records

    found = read_coco(*find_coco(data, split, images=images), skip_invalid=skip_invalid)
    for message in found.skipped:
        _say(f"Left out: {message}")
    return select_records(found, where)


def _evaluate(predictor: Predictor, data: CocoData, **options: Any) -> Evaluation:
    """Score under a progress bar, after notes on what the classes of both have in common."""
    from ..predict.class_match import match_classes
    from ..predict.evaluation import evaluate_predictor

    match = match_classes(predictor.classes, data.classes, source=data.source.name)
    for note in match.notes:
        _say(f"Note: {note}.")
    with PictureBar("evaluating", len(data.records)) as bar:
        return evaluate_predictor(predictor, data, match, on_progress=bar.advance, **options)


def require_place(path: Path | None) -> None:
    """Say that a file cannot be written before the long work, not after it."""
    if path is None:
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        wrong = "this is a folder" if path.is_dir() else f"{folder} cannot be written to"
        raise SettingError(f"{path}: {wrong}, but a file is to be written there. Give another path.")


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)
