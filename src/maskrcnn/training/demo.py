"""A small model is trained on drawn shapes, in a few minutes, without data or downloads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from ..config import RunSettings
from ..data.shapes import SHAPES, write_shapes
from ..model.build import build_model
from .dataset import read_training_data, train_on_dataset
from .finish import finish_run
from .loop import TrainingResult
from .run_folder import BEST_NAME, CHECKPOINT_NAME, CURVES_NAME, LAST_NAME, LOG_NAME, SHEET_NAME, DataArguments

STEPS = 1100


class Drawings(NamedTuple):
    """The images of the demo.

    Args:
        train, val: How many for training, and how many for validation.
        side: Of each, in pixels.
    """

    train: int
    val: int
    side: int


IMAGES = Drawings(train=600, val=100, side=112)


def demo_settings(*, steps: int, seed: int) -> RunSettings:
    """A network and a training run of the size of the task: objects of 20 to 60 pixels in small images."""
    return RunSettings.model_validate(
        {
            "input": {"scale_factor": 1},
            "backbone": {"name": "resnet18", "width": 32, "norm": "batch", "frozen_stages": 0},
            "neck": {"channels": 64},
            "anchors": {"sizes": (16, 32, 64, 128, 256), "ratios": (1.0,)},
            "rpn": {
                "batch_size_per_image": 128,
                "positive_fraction": 0.5,
                "pre_nms_top_n_training": 200,
                "pre_nms_top_n": 100,
                "post_nms_top_n_training": 200,
                "post_nms_top_n": 100,
            },
            "box_head": {"channels": 256, "batch_size_per_image": 48, "positive_fraction": 0.5},
            "mask_head": {"channels": 64, "convolutions": 2},
            "augment": {"scale": (1, 1), "brightness": 0, "contrast": 0, "saturation": 0},
            "data": {"batch_size": 4, "workers": 0},
            "train": {
                "steps": steps,
                "optimizer": "adamw",
                "learning_rate": 0.004,
                "warmup_steps": 60,
                "scheduler": "cosine",
                "clip_grad_norm": 1,
                "ema_decay": 0.99,
                "evaluate_every": -(-steps // 3),
                "seed": seed,
            },
        }
    )


def run_demo(folder: Path, settings: RunSettings, drawings: Drawings) -> TrainingResult:
    """Draw images, train on them, and score on others; everything it writes is in `folder`.

    Args:
        folder: Made if it is not there; an earlier demo in it is replaced.
        settings: Of the run.
        drawings: How many images, and of what size.

    Returns:
        With the scores of the last weights on the unseen images; without them it was stopped, and `maskrcnn train
        --resume` goes on with the run in it.
    """
    console, run, device = Console(stderr=True), folder / "run", torch.device("cpu")
    _forget(run)
    words = f"Drawing {drawings.train} images for training and {drawings.val} for validation in {folder} ..."
    console.print(words, highlight=False, markup=False, soft_wrap=True)
    write_shapes(folder, train=drawings.train, val=drawings.val, size=drawings.side, seed=settings.train.seed)
    source = DataArguments(folder)
    source.save(run)
    data = read_training_data(source, settings)
    words = f"Training on {', '.join(SHAPES)} from random weights, {settings.train.steps} steps ..."
    console.print(words, highlight=False, markup=False, soft_wrap=True)
    torch.manual_seed(settings.train.seed)
    model = build_model(settings.model, len(SHAPES))
    result = train_on_dataset(model, data, settings, folder=run, device=device, resume=False, quiet=False)
    if not result.finished:
        return result
    # Not the best weights but the last ones: then nothing was chosen by the unseen images.
    result.weights = run / LAST_NAME
    result.report = finish_run(result.weights, data.val, device=device, batch_size=settings.data.batch_size)
    result.scores = result.report.to_dict()
    for name in (SHEET_NAME, CURVES_NAME):
        (run / name).replace(folder / name)
    return result


def _forget(run: Path) -> None:
    """Take away an earlier run of the demo, and nothing else."""
    for name in (CHECKPOINT_NAME, LOG_NAME, BEST_NAME, LAST_NAME):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "tensorboard", ignore_errors=True)
