"""`maskrcnn demo`: a small model learns shapes that it draws itself, in a few minutes, without data or downloads."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from ..config import RunSettings
from .outcome import (
    CURVES_NAME,
    SHEET_NAME,
    data_words,
    evaluate_command,
    predict_command,
    print_commands,
    write_outcome,
)
from .run_folder import CHECKPOINT_NAME

STEPS = 1100


class Drawings(NamedTuple):
    """The pictures of the demo.

    Args:
        learnt, unseen: How many to learn from, and how many to judge by.
        side: Of each, in pixels.
    """

    learnt: int
    unseen: int
    side: int


PICTURES = Drawings(learnt=600, unseen=100, side=112)


def demo(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where pictures and results go.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of the pictures, the first weights and the order.")] = 0,
) -> None:
    """Watch a Mask R-CNN learn overlapping shapes, in less than four minutes on two cores."""
    run_demo(output, demo_settings(steps=STEPS, seed=seed), PICTURES)


def demo_settings(*, steps: int, seed: int) -> RunSettings:
    """A network and a training run of the size of the task: objects of 20 to 60 pixels in small pictures."""
    return RunSettings.model_validate(
        {
            "model": {
                "input": {"magnify": 1},
                "backbone": {"name": "resnet18", "width": 32, "norm": "batch", "frozen_stages": 0},
                "fpn": {"channels": 64},
                "anchors": {"sizes": (16, 32, 64, 128, 256), "ratios": (1.0,)},
                "rpn": {
                    "samples": 128,
                    "positive_fraction": 0.5,
                    "candidates_training": 200,
                    "candidates": 100,
                    "proposals_training": 200,
                    "proposals": 100,
                },
                "box_head": {"channels": 256, "samples": 48, "positive_fraction": 0.5},
                "mask_head": {"channels": 64, "convolutions": 2},
            },
            "augment": {"scale": (1, 1), "brightness": 0, "contrast": 0, "saturation": 0},
            "data": {"batch": 4, "workers": 0},
            "train": {
                "steps": steps,
                "optimiser": "adamw",
                "learning_rate": 0.004,
                "warmup": 60,
                "schedule": "cosine",
                "clip": 1,
                "average": 0.99,
                "evaluate_every": -(-steps // 3),
                "seed": seed,
            },
        }
    )


def run_demo(folder: Path, settings: RunSettings, drawings: Drawings) -> dict[str, Any]:
    """Draw pictures, learn from them, and judge by others; everything it writes is in `folder`.

    Args:
        folder: Made if it is not there; an earlier demo in it is replaced.
        settings: Of the run.
        drawings: How many pictures, and of what size.

    Returns:
        The scores on the unseen pictures; see `evaluation_report`.
    """
    import torch

    from ..data.shapes import SHAPES, write_shapes
    from ..evaluate.report import report_tables
    from ..model.build import build_model
    from ..training.dataset import read_training_data, train_on_coco

    began = time.monotonic()
    console = Console(stderr=True)
    run, device = folder / "run", torch.device("cpu")
    _forget(run)
    _say(console, f"Drawing {drawings.learnt} pictures to learn from and {drawings.unseen} to judge by in {folder} ...")
    write_shapes(folder, train=drawings.learnt, val=drawings.unseen, size=drawings.side, seed=settings.train.seed)
    data = read_training_data(folder, settings, images=None, val=None, skip_invalid=False)
    _say(console, f"Learning {', '.join(SHAPES)} from random weights, {settings.train.steps} steps ...")
    torch.manual_seed(settings.train.seed)
    model = build_model(settings.model, len(SHAPES))
    result = train_on_coco(model, data, settings, folder=run, device=device, resume=False, quiet=False)
    if not result.finished:
        raise typer.Exit(1)
    # Not the best weights but the last ones: then nothing was chosen by the unseen pictures.
    weights = run / "last.safetensors"
    report = write_outcome(run, weights, data.judged, device=device, batch=settings.data.batch)
    for name in (SHEET_NAME, CURVES_NAME):
        (run / name).replace(folder / name)
    Console().print(report_tables(report))
    _say_what_is_next(console, folder, weights, report, seconds=time.monotonic() - began)
    return report


def _forget(run: Path) -> None:
    """Take away an earlier run of the demo, and nothing else."""
    for name in (CHECKPOINT_NAME, "log.jsonl", "best.safetensors", "last.safetensors"):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "tensorboard", ignore_errors=True)


def _say_what_is_next(console: Console, folder: Path, weights: Path, report: dict[str, Any], *, seconds: float) -> None:
    """The scores as measured, where the pictures are, and commands to copy."""
    _say(
        console,
        f"On {report['pictures']} pictures it had never seen: box AP {report['bbox']['AP']:.3f}, mask AP "
        f"{report['segm']['AP']:.3f} (COCO's, over IoU 0.50:0.95), after {seconds:.0f} seconds in all.",
    )
    _say(console, f"Annotated beside predicted: {folder / SHEET_NAME}; curves: {folder / CURVES_NAME}\n")
    print_commands(
        console,
        {
            "Find the shapes in a picture": predict_command(
                weights, folder / "images" / "val_0001.png", folder / "predictions"
            ),
            "Score the weights again": evaluate_command(weights, data_words(folder, None)),
            "Train on pictures of your own": "maskrcnn train --data train.json --images pictures/",
        },
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
