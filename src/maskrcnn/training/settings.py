"""Settings of a run that depend on its data or on its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import RunSettings, TrainSettings
from ..data.dataset import Dataset
from ..data.dataset_range import DatasetRange, with_dataset_range
from ..errors import SettingError
from ..structures.classes import Classes
from .checkpoint import Checkpoint
from .run_folder import LAST_NAME

_PASSES = 12
_FEWEST_STEPS = 1000
_EVALUATIONS = 10
# The state of the optimizer and the averaged weights are of the first three, the held-out images of the others.
_FIXED = {"train.layers", "train.optimizer", "train.ema_decay", "train.seed", "data.val_fraction"}


def with_steps(settings: RunSettings, images: int) -> RunSettings:
    """The settings with `train.steps` filled in from the number of images, unless it is set."""
    if settings.train.steps is not None:
        return settings
    per_step = settings.data.batch_size * settings.train.accumulate_steps
    steps = max(_FEWEST_STEPS, math.ceil(_PASSES * images / per_step))
    return settings.changed({"train.steps": steps})


def with_stuff(settings: RunSettings, classes: Classes) -> RunSettings:
    """The settings with as many classes of pixels as the data has, if the model has a semantic head.

    Raises:
        SettingError: The data has none.
    """
    if settings.model.semantic_head is None:
        return settings
    if not classes.stuff:
        raise SettingError(
            "semantic_head: is trained on the classes of all pixels, but the data has objects only. Give data in "
            "COCO's panoptic format, with stuff among its categories, or set semantic_head=null."
        )
    return settings.changed({"semantic_head.classes": len(classes.stuff) + 1})


def with_range(
    settings: RunSettings, data: Dataset, on_progress: Callable[[int], None] = lambda images: None
) -> tuple[RunSettings, DatasetRange | None]:
    """The settings with the range of values of the training data in `input.range`, and what was found.

    They stay as they are where a range is set, or where no image has more than 8 bits.
    """
    paths = [record.path for record in data.records if record.pixels is None]
    inputs, found = with_dataset_range(settings.model.input, paths, on_progress=on_progress)
    return (settings if found is None else settings.changed({"input.range": inputs.range})), found


def required_steps(settings: RunSettings) -> int:
    """`train.steps`, or a SettingError if it is not set."""
    if settings.train.steps is None:
        raise SettingError(
            "train.steps: not set, but the loop needs a number. Fill it in with with_steps(settings, images)."
        )
    return settings.train.steps


def evaluation_interval(settings: TrainSettings) -> int:
    """Steps between two evaluations."""
    return settings.evaluate_every or max(1, math.ceil((settings.steps or 1) / _EVALUATIONS))


def check_resumable(path: Path, checkpoint: Checkpoint, settings: RunSettings, classes: Classes) -> list[str]:
    """Refuse to go on with a run under settings or classes that its weights or its optimizer are not of.

    Returns:
        What changes, in words: `train.steps=4000 (before: 2000)`.

    Raises:
        SettingError: Naming the first setting that differs and may not, with both values.
    """
    if checkpoint.classes != classes:
        raise SettingError(
            f"{path}: a run with the classes {', '.join(checkpoint.classes.names)}, but the data has "
            f"{', '.join(classes.names)} or other category ids. Give the data it was started with, or another folder."
        )
    before, now = _flat(checkpoint.settings.model_dump()), _flat(settings.model_dump())
    fixed = _flat(settings.model.model_dump()).keys() | _flat(checkpoint.settings.model.model_dump()).keys() | _FIXED
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    for key in changed:
        if key in fixed:
            raise SettingError(
                f"{path}: the run was started with {key}={before.get(key)}, but is to be resumed with {now.get(key)}. "
                f"Leave it as it was, or start a new run in another folder from {LAST_NAME}."
            )
    return [f"{key}={now.get(key)} (before: {before.get(key)})" for key in changed]


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
