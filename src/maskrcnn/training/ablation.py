"""The variants of one of the paper's tables, trained under one budget and one seed, and what they reach as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, Group
from rich.table import Table

from ..config import RunSettings
from ..config.base import Changes
from ..config.presets import Study, read_studies
from ..data.shapes import write_shapes
from ..errors import SettingError
from ..ops.files import read_json, write_json
from ..predict.evaluation import evaluate
from ..predict.predictor import Predictor
from .dataset import TrainingData, read_training_data, train_on_dataset
from .demo import IMAGES, STEPS, demo_settings
from .run_folder import CHECKPOINT_NAME, LAST_NAME, LOG_NAME, SCORES_NAME, DataArguments
from .start import NO_WEIGHTS, TrainingStart, build_start, choose_start

SCORES = ("AP", "AP50", "AP75")
Measured = Mapping[str, Mapping[str, Any]]


def find_study(name: str) -> Study:
    """A study by its name.

    Raises:
        SettingError: There is none of that name.
    """
    studies = read_studies()
    if name not in studies:
        raise SettingError(f"{name}: there is no such study. There are {', '.join(studies)}.")
    return studies[name]


def run_ablation(
    study: Study,
    folder: Path,
    *changes: Changes,
    data: DataArguments | None = None,
    weights: str | Path = NO_WEIGHTS,
    device: torch.device,
    quiet: bool = False,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train and score variant after variant; those that the folder has already are not trained again.

    Args:
        study: Its changes win over all others.
        folder: Where the runs go, each in a folder of its own.
        changes: Settings of all variants.
        data: None: shapes as the demo draws them, with settings of their size below `changes`.
        weights: What all variants start from.
        device, quiet: As for `train`.

    Yields:
        The name of each variant, and AP, AP50 and AP75 of its last weights with the `seconds` of its training; nothing
        more after a variant that was stopped.

    Raises:
        SettingError: The data have not what the study is about, or the folder holds a run with other settings.
    """
    if data is None:
        shapes = folder / "shapes"
        data, changes = DataArguments(shapes), (demo_settings(steps=STEPS, seed=0), *changes)
        if not shapes.exists():
            seed = RunSettings().changed(*changes).train.seed
            write_shapes(shapes, train=IMAGES.train, val=IMAGES.val, size=IMAGES.side, seed=seed)
    console = Console(stderr=True, quiet=quiet)
    starts = {
        name: _fit_anchors(choose_start(weights, *changes, variant.changes)) for name, variant in study.variants.items()
    }
    found = read_training_data(data, next(iter(starts.values())).settings)
    if study.score == "keypoints" and found.train.classes.keypoint_schema is None:
        raise SettingError(f"{study.title}: {found.train.source} has no keypoints. Give data with keypoints (--data).")
    for name, start in starts.items():
        console.rule(f"{name}: {' '.join(study.variants[name].changes)}")
        place = folder / "_".join(name.replace(",", "").split())
        scores = _scores_of(place, start.settings) or _train_variant(
            place, start, found, study.score, device=device, quiet=quiet
        )
        if scores is None:
            return
        yield name, scores


def _fit_anchors(start: TrainingStart) -> TrainingStart:
    """On a single map all sizes of anchors are used there."""
    model, changes = start.settings.model, dict[str, Any]()
    if model.neck.name != "fpn":
        changes["anchors.sizes"] = (tuple(side for level in model.anchors.sizes for side in level),)
    if model.neck.name == "c4" and model.mask_head is not None:
        # Stage 5 is the head: its output is classified as it is, and doubled for the masks.
        changes |= {"box_head.pool_size": 14, "box_head.linear_layers": 0}
        changes |= {"mask_head.convolutions": 0}
    return start._replace(settings=start.settings.changed(changes))


def _scores_of(folder: Path, settings: RunSettings) -> dict[str, Any] | None:
    path = folder / SCORES_NAME
    if not path.exists():
        return None
    scores: dict[str, Any] = read_json(path)
    if scores["settings"] != settings.model_dump(mode="json"):
        raise SettingError(f"{folder}: was trained with other settings. Give another folder (--output), or remove it.")
    return scores


def _train_variant(
    folder: Path, start: TrainingStart, data: TrainingData, kind: str, *, device: torch.device, quiet: bool
) -> dict[str, Any] | None:
    """None: it was stopped."""
    settings = start.settings
    model, _ = build_start(start, data.train.classes)
    resume = (folder / CHECKPOINT_NAME).exists()
    result = train_on_dataset(model, data, settings, folder=folder, device=device, resume=resume, quiet=quiet)
    if not result.finished:
        return None
    # Not the best weights but the last ones: then nothing was chosen by the validation images.
    predictor = Predictor(folder / LAST_NAME, device=device)
    numbers = evaluate(predictor, data.val, batch_size=settings.data.batch_size)[kind]
    log = map(json.loads, (folder / LOG_NAME).read_text(encoding="utf-8").splitlines())
    # A run that is too short for a line in its log took no time worth naming.
    seconds = max((entry["seconds"] for entry in log if entry["kind"] == "step"), default=0.0)
    scores = {key: numbers[key] for key in SCORES} | {"seconds": seconds}
    scores["settings"] = settings.model_dump(mode="json")
    write_json(folder / SCORES_NAME, scores, indent=1)
    return scores


def ablation_table(study: Study, measured: Measured) -> Group:
    """For the terminal.

    Args:
        study: What was varied.
        measured: Scores in 0..1 and seconds by variant; those that are missing are still to come.
    """
    table = Table(title=f"{study.title} (table {study.table}), {_kind(study)}", title_justify="left")
    for column in _columns():
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in _rows(study, measured):
        table.add_row(*row)
    return Group(table, _orders(study, measured))


def ablation_markdown(study: Study, measured: Measured) -> str:
    """The same as Markdown."""
    lines = [f"### {study.title} (table {study.table}), {_kind(study)}", ""]
    lines += ["| " + " | ".join(_columns()) + " |", "|" + "---|" * len(_columns())]
    lines += ["| " + " | ".join(row) + " |" for row in _rows(study, measured)]
    return "\n".join([*lines, "", _orders(study, measured), ""])


def _kind(study: Study) -> str:
    return "mask AP" if study.score == "segm" else "keypoint AP"


def _columns() -> list[str]:
    return ["variant", *SCORES, "minutes", *(f"paper {score}" for score in SCORES)]


def _rows(study: Study, measured: Measured) -> list[list[str]]:
    rows = []
    for name, variant in study.variants.items():
        found = measured.get(name)
        ours = [f"{100 * found[score]:.1f}" for score in SCORES] if found else [""] * len(SCORES)
        minutes = f"{found['seconds'] / 60:.1f}" if found else ""
        paper = [f"{value:.1f}" for value in variant.published]
        rows.append([name, *ours, minutes, *paper, *[""] * (len(SCORES) - len(paper))])
    return rows


def _orders(study: Study, measured: Measured) -> str:
    """Which of the paper's orders of two variants hold here, by AP."""
    said = []
    for first, second in combinations([name for name in study.variants if name in measured], 2):
        better, worse = sorted((first, second), key=lambda name: -study.variants[name].published[0])
        if study.variants[better].published[0] == study.variants[worse].published[0]:
            continue
        gain = 100 * (measured[better]["AP"] - measured[worse]["AP"])
        said.append(f"{better} over {worse}: {'seen' if gain > 0 else 'not seen'} ({gain:+.1f})")
    return "The paper's orders: " + ("; ".join(said) or "none to compare yet") + "."
