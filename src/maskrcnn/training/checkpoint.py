"""A checkpoint: all it takes to go on with a run as if it had never been killed.

What follows from the step and the seed alone is not in it: the learning rate (`optimizer.py`), the position in the data
(batch n is a function of the seed and n) and the random numbers of a step (each step seeds the generators itself).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor
from torch.optim import Optimizer

from ..config import RunSettings
from ..config.base import explain_errors
from ..errors import WeightsError
from ..ops.files import replacing
from ..structures.classes import Classes
from ..structures.coco_forms import is_number
from ..weights.files import NUMBERS
from ..weights.pickles import read_torch

_VERSION = 1
_FORMAT = "maskrcnn training run"
Number = Annotated[int, Field(ge=0, lt=2**53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


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

    step: Number = 0
    seconds: Annotated[Finite, Field(ge=0)] = 0.0
    evaluated: Number = 0
    scores: dict[str, Any] = field(default_factory=dict)
    best: float | None = None
    waited: Number = 0
    log_position: Number = 0
    loss_sums: dict[str, Finite] = field(default_factory=dict)
    loss_count: Number = 0


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
    content = read_torch(path, mapped=False)
    expected: dict[str, str | int] = {"format": _FORMAT, "version": _VERSION}
    if not isinstance(content, dict) or any(not _equal(content.get(key), value) for key, value in expected.items()):
        raise WeightsError(
            f"{path}: not a checkpoint of a training run in version {_VERSION} of its format. "
            "Give one that this version of maskrcnn wrote as last.pt, or start a new run."
        )
    average = content.get("average")
    return Checkpoint(
        progress=_parse(path, content, "progress", RunProgress),
        settings=_parse(path, content, "settings", RunSettings),
        classes=_parse(path, content, "classes", Classes),
        model=_tensors(path, "model", content.get("model")),
        optimizer=_optimizer_state(path, content.get("optimizer")),
        average=None if average is None else _tensors(path, "average", average),
    )


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any], *, source: str) -> None:
    """Give an optimizer the state of a checkpoint.

    Raises:
        WeightsError: It is of an optimizer of other parameters, or of another kind; the optimizer is then unchanged.
    """
    groups = [_group(own, found, source) for own, found in _pairs(optimizer, state, source)]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, values in state["state"].items():
        if number >= len(parameters):
            raise _wrong(source, "optimizer", f"it has no parameter {number}")
        for name, value in values.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameters[number].shape:
                shapes = f"{list(value.shape)} instead of {list(parameters[number].shape)}"
                raise _wrong(source, "optimizer", f"{name} of parameter {number} has the shape {shapes}")
    optimizer.load_state_dict({**state, "param_groups": groups})


def _pairs(optimizer: Optimizer, state: dict[str, Any], source: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each group of an optimizer with that of a checkpoint."""
    own, groups = optimizer.state_dict()["param_groups"], state["param_groups"]
    if [group["params"] for group in own] != [group["params"] for group in groups]:
        raise _wrong(source, "optimizer", "has other groups of parameters than this run")
    return list(zip(own, groups, strict=True))


def _group(own: dict[str, Any], found: dict[str, Any], source: str) -> dict[str, Any]:
    """A group of a checkpoint; what another version of torch did not write is as in the optimizer itself."""
    for name in own.keys() & found.keys():
        if _kind(found[name]) != _kind(own[name]):
            raise _wrong(source, "optimizer", f"has {name} that is {type(found[name]).__name__}")
    return own | {name: value for name, value in found.items() if name in own}


def _kind(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return bool
    if isinstance(value, tuple | list):
        return [_kind(one) for one in value]
    return float if is_number(value) else type(value).__name__


def _parse(path: Path, content: dict[str, Any], key: str, kind: Any) -> Any:
    text = content.get(key)
    if not isinstance(text, str):
        raise _wrong(path, key, "is no text" if key in content else "is missing")
    try:
        return TypeAdapter(kind).validate_json(text)
    except (ValidationError, ValueError) as error:
        model = kind if kind is RunSettings else None
        raise WeightsError(
            f"{path}: its {key} are not those of this version of maskrcnn ({_explained(error, model)}) "
            "Resume the run with the version that started it."
        ) from error


def _explained(error: Exception, model: type[RunSettings] | None) -> str:
    if model is not None:
        return explain_errors(error, model)
    if not isinstance(error, ValidationError):
        return f"{error}."
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}."


def _tensors(path: Path, key: str, state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise _wrong(path, key, "holds no tensors by name")
    wrong = next((name for name, one in state.items() if not isinstance(one, Tensor)), None)
    if wrong is not None:
        raise _wrong(path, key, f"has {wrong} that is no tensor")
    return state


def _optimizer_state(path: Path, state: Any) -> dict[str, Any]:
    if not isinstance(state, dict) or not {"state", "param_groups"} <= state.keys():
        raise _wrong(path, "optimizer", "has no state and param_groups")
    known, groups = state["state"], state["param_groups"]
    if not isinstance(known, dict) or not all(_is_index(key) and isinstance(one, dict) for key, one in known.items()):
        raise _wrong(path, "optimizer", "has no state by the number of the parameter")
    if not all(_is_value(value) for one in known.values() for value in one.values()):
        raise _wrong(path, "optimizer", "has a state that is no number")
    if not isinstance(groups, list) or not all(
        isinstance(group, dict) and isinstance(group.get("params"), list) and all(map(_is_index, group["params"]))
        for group in groups
    ):
        raise _wrong(path, "optimizer", "has no groups of numbers of parameters")
    return state


def _equal(value: Any, expected: str | int) -> bool:
    return type(value) is type(expected) and bool(value == expected)


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_value(value: Any) -> bool:
    """What an optimizer remembers of a parameter: tensors, numbers, and none before the first step; all finite."""
    if isinstance(value, Tensor):
        return value.dtype in NUMBERS and bool(value.isfinite().all())
    return value is None or isinstance(value, int | float)


def _wrong(source: Path | str, key: str, what: str) -> WeightsError:
    return WeightsError(
        f"{source}: not a whole checkpoint of a training run: its {key} {what}. It is damaged or of another kind. "
        "Start the run again in a new folder, from best.safetensors if there is one."
    )
