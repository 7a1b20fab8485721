"""A checkpoint: all it takes to go on with a run as if it had never been killed.

What follows from the step and the seed alone is not in it: the learning rate (`optimizer.py`), the position in the data
(batch n is a function of the seed and n) and the random numbers of a step (each step seeds the generators itself).
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from ..config import RunSettings
from ..config.base import explain_errors
from ..errors import WeightsError
from ..ops.files import replacing
from ..structures.classes import Classes

_VERSION = 1
_FORMAT = "maskrcnn training run"


@dataclass
class RunProgress:
    """How far a run has come.

    Args:
        step: Optimizer steps made.
        seconds: Time they took, over all starts of the run.
        evaluated: Step of the last evaluation; 0: none yet.
        scores: Result of the last evaluation.
        best: Best score so far.
        waited: Evaluations since then.
        log_position: Length of the log in bytes.
        loss_sums, loss_count: Losses since the last log line.
    """

    step: int = 0
    seconds: float = 0.0
    evaluated: int = 0
    scores: dict[str, Any] = field(default_factory=dict)
    best: float | None = None
    waited: int = 0
    log_position: int = 0
    loss_sums: dict[str, float] = field(default_factory=dict)
    loss_count: int = 0


@dataclass
class Checkpoint:
    """A run between two steps.

    Args:
        progress: How far it has come.
        settings, classes: What it is a run of.
        model, optimizer: Their state dicts.
        average: State dict of the averaged model, if there is one.
    """

    progress: RunProgress
    settings: RunSettings
    classes: Classes
    model: dict[str, Any]
    optimizer: dict[str, Any]
    average: dict[str, Any] | None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all: killed in the middle, the previous one is still there.

    Raises:
        WeightsError: The file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "progress": json.dumps(asdict(checkpoint.progress)),
        "settings": checkpoint.settings.model_dump_json(),
        "classes": json.dumps(asdict(checkpoint.classes)),
        "model": checkpoint.model,
        "optimizer": checkpoint.optimizer,
        "average": checkpoint.average,
    }
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: the checkpoint could not be written ({error}). The folder must be writable and have room; "
            "the previous checkpoint is untouched. Make room, and resume the run."
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, its tensors onto the CPU, without running code that a file may bring along.

    Raises:
        WeightsError: It is missing, cut off, of another kind or of another version.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such checkpoint. Give the folder of a run that `maskrcnn train` has started.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{path}: not a whole checkpoint of a training run ({reason}). It was cut off or is of another kind, and "
            "is not run as code. Start the run again in a new folder, from best.safetensors if there is one."
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT or content["version"] != _VERSION:
        raise WeightsError(
            f"{path}: not a checkpoint of a training run in version {_VERSION} of its format. "
            "Give one that this version of maskrcnn wrote as last.pt, or start a new run."
        )
    try:
        settings = RunSettings.model_validate_json(content["settings"])
    except ValidationError as error:
        raise WeightsError(
            f"{path}: its settings are not those of this version of maskrcnn ({explain_errors(error, RunSettings)}) "
            "Resume the run with the version that started it."
        ) from error
    return Checkpoint(
        progress=RunProgress(**json.loads(content["progress"])),
        settings=settings,
        classes=TypeAdapter(Classes).validate_json(content["classes"]),
        model=content["model"],
        optimizer=content["optimizer"],
        average=content["average"],
    )
