"""`maskrcnn ablate`: the paper's tables of what each choice is worth, trained again on data of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console

from ..config import RunSettings
from ..config.studies import Study, read_studies
from ..errors import SettingError
from .ablation_table import ablation_markdown, ablation_table
from .beginning import Beginning, build_start, choose_beginning
from .demo import PICTURES, STEPS, demo_settings
from .run_folder import CHECKPOINT_NAME
from .settings import ConfigFile, Overrides

if TYPE_CHECKING:
    import torch

    from ..training.dataset import TrainingData

SCORES_NAME = "scores.json"
TABLE_NAME = "table.md"
STUDIES = ", ".join(read_studies())


def ablate(
    overrides: Overrides = None,
    study: Annotated[str, typer.Option("--study", metavar="NAME", help=f"{STUDIES}.")] = "roi_pooling",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="JSON_OR_DIR", help="COCO file, or a data set's folder; none: drawn shapes."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if not beside the file.")
    ] = None,
    val: Annotated[
        Path | None, typer.Option("--val", metavar="JSON_OR_DIR", help="Data to judge by; none: a part held out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Where runs and table go; none: `ablations/NAME`.")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="FILE_OR_NAME", help="What all variants start from.")
    ] = "none",
    config: ConfigFile = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`; CUDA where it is.")
    ] = None,
) -> None:
    """Train the variants of one of the paper's tables under one budget and one seed, and print that table.

    Settings hold for all variants; what a variant is about wins over them. A table that was stopped goes on where it
    was when the same command is given again.
    """
    from ..ops.devices import choose_device
    from ..training.dataset import read_training_data

    chosen = _choose_study(study)
    folder, place, console = output or Path("ablations") / study, choose_device(device), Console(stderr=True)
    if data is None:
        data, config = _draw_shapes(folder, config, overrides or [])
    words = {name: [*(overrides or []), *variant.changes] for name, variant in chosen.variants.items()}
    beginnings = {name: _fit_anchors(choose_beginning(weights, words[name], config)) for name in words}
    first = next(iter(beginnings.values())).settings
    found = read_training_data(data, first, images=images, val=val, skip_invalid=False)
    if chosen.score == "keypoints" and found.learnt.classes.skeleton is None:
        raise SettingError(f"--study {study}: {found.learnt.source} has no keypoints. Give --data whose categories do.")
    measured: dict[str, dict[str, Any]] = {}
    for name, beginning in beginnings.items():
        console.rule(f"{name}: {' '.join(chosen.variants[name].changes)}")
        measured[name] = _measure(folder / _folder_name(name), beginning, found, chosen, device=place)
        Console().print(ablation_table(chosen, measured))
    (folder / TABLE_NAME).write_text(ablation_markdown(chosen, measured), encoding="utf-8")
    console.print(f"The table: {folder / TABLE_NAME}", highlight=False)


def _choose_study(name: str) -> Study:
    studies = read_studies()
    if name not in studies:
        raise SettingError(f"--study {name}: there is no such study. There are {STUDIES}.")
    return studies[name]


def _draw_shapes(folder: Path, config: Path | None, overrides: list[str]) -> tuple[Path, Path]:
    """Pictures of shapes as the demo draws them, and a file with settings of their size, unless one is given."""
    from ..data.shapes import write_shapes
    from .overrides import change_settings

    settings = demo_settings(steps=STEPS, seed=0)
    shapes, written = folder / "shapes", folder / "shapes.yaml"
    seed = change_settings(settings, overrides, config).train.seed
    if not shapes.exists():
        write_shapes(shapes, train=PICTURES.learnt, val=PICTURES.unseen, size=PICTURES.side, seed=seed)
    written.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    return shapes, config or written


def _fit_anchors(beginning: Beginning) -> Beginning:
    """On a single map all sizes of anchors are used there."""
    settings = beginning.settings.model_copy(deep=True)
    if settings.model.neck != "fpn":
        settings.model.anchors.sizes = (tuple(side for level in settings.model.anchors.sizes for side in level),)
    if settings.model.neck == "c4" and settings.model.mask_head is not None:
        # Stage 5 is the head: its output is classified as it is, and doubled for the masks.
        settings.model.box_head.pool_size, settings.model.box_head.linear_layers = 14, 0
        settings.model.mask_head.convolutions = 0
    return beginning._replace(settings=settings)


def _folder_name(variant: str) -> str:
    return "_".join(variant.replace(",", "").split())


def _measure(
    folder: Path, beginning: Beginning, data: TrainingData, study: Study, *, device: torch.device
) -> dict[str, Any]:
    """AP, AP50 and AP75 of one variant's last weights, and the seconds it learnt; of a finished run as they stand."""
    path = folder / SCORES_NAME
    asked = beginning.settings.model_dump(mode="json")
    if path.exists():
        scores = json.loads(path.read_text(encoding="utf-8"))
        if scores["settings"] != asked:
            raise SettingError(f"{folder}: was trained with other settings. Give another --output, or remove it.")
        return scores
    scores = _train(folder, beginning, data, study, device=device) | {"settings": asked}
    path.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    return scores


def _train(
    folder: Path, beginning: Beginning, data: TrainingData, study: Study, *, device: torch.device
) -> dict[str, Any]:
    from ..predict.evaluation import evaluate_predictor
    from ..predict.predictor import Predictor
    from ..training.dataset import train_on_coco
    from ..training.log import LOG_NAME

    settings: RunSettings = beginning.settings
    model, _ = build_start(beginning, data.learnt.classes)
    resume = (folder / CHECKPOINT_NAME).exists()
    result = train_on_coco(model, data, settings, folder=folder, device=device, resume=resume, quiet=False)
    if not result.finished:
        raise typer.Exit(1)
    # Not the best weights but the last ones: then nothing was chosen by the pictures that judge.
    predictor = Predictor(folder / "last.safetensors", device=device)
    numbers = evaluate_predictor(predictor, data.judged, batch=settings.data.batch).report[study.score]
    log = map(json.loads, (folder / LOG_NAME).read_text(encoding="utf-8").splitlines())
    # A run that is too short for a line in its log took no time worth naming.
    seconds = max((entry["seconds"] for entry in log if entry["kind"] == "step"), default=0.0)
    return {key: numbers[key] for key in ("AP", "AP50", "AP75")} | {"seconds": seconds}
