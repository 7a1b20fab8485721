"""`maskrcnn demo`: a small model learns shapes that it draws itself, in a few minutes, without data or downloads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..progress import counted
from .commands import data_words, evaluate_command, predict_command, print_commands
from .console import INTERRUPTED, say, show

if TYPE_CHECKING:
    from ..training.loop import TrainingResult


def demo(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Folder for images and results.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the images, the first weights and the order.")] = 0,
) -> None:
    """Watch a Mask R-CNN learn overlapping shapes, in about two minutes on two cores."""
    from ..training.demo import IMAGES, STEPS, demo_settings, run_demo
    from ..training.run_folder import resume_command

    began = time.monotonic()
    result = run_demo(output, demo_settings(steps=STEPS, seed=seed), IMAGES)
    if result.report is None:
        print_commands({"Go on": resume_command(result.folder)})
        raise typer.Exit(INTERRUPTED)
    show(result.report.table())
    print_next_steps(output, result, seconds=time.monotonic() - began)


def print_next_steps(folder: Path, result: TrainingResult, *, seconds: float) -> None:
    """The scores as measured, where the images are, and commands to copy."""
    from ..training.run_folder import CURVES_NAME, SHEET_NAME

    scores = result.scores
    say(
        f"On {counted(scores['images'], 'image')} it had never seen: box AP {scores['bbox']['AP']:.3f}, mask AP "
        f"{scores['segm']['AP']:.3f} (COCO's, over IoU 0.50:0.95), after {seconds:.0f} seconds in all."
    )
    say(f"Annotated beside predicted: {folder / SHEET_NAME}; curves: {folder / CURVES_NAME}\n")
    image = folder / "images" / "val_0001.png"
    print_commands(
        {
            "Find the shapes in an image": predict_command(result.weights, image, folder / "predictions"),
            "Score the weights again": evaluate_command(result.weights, data_words(folder, None)),
            "Train on images of your own": "maskrcnn train --data train.json --images images/",
        }
    )
