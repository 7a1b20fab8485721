"""Weights as files that torchvision or detectron2 load, if the model has a form there."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import ModelSettings
from ..errors import WeightsError
from ..ops.atomic import replacing
from .foreign.detectron2 import DETECTRON2_NEEDS, to_detectron2
from .foreign.torchvision import TORCHVISION_NEEDS, to_torchvision
from .own import Weights

Needs = Mapping[str, tuple[Any, ...]]
LIBRARIES: dict[str, tuple[Needs, Callable[[Weights], dict[str, Tensor]], tuple[str, ...]]] = {
    "torchvision": (TORCHVISION_NEEDS, to_torchvision, (".pth", ".pt")),
    "detectron2": (DETECTRON2_NEEDS, to_detectron2, (".pkl", ".pth")),
}
"""What settings a library has a form for, how its tensors are made, and the kinds of files it loads."""


def write_foreign(path: Path, weights: Weights, library: str) -> None:
    """Write a file that another library loads.

    Args:
        path: Of one of the library's kinds of files.
        weights: The model.
        library: torchvision or detectron2.

    Raises:
        WeightsError: The model has no form there, the file's kind is another, or it cannot be written.
    """
    needs, translate, suffixes = LIBRARIES[library]
    if path.suffix not in suffixes:
        raise WeightsError(f"{path}: {library} loads files that end in {' or '.join(suffixes)}. Give such a name.")
    check_form(weights, library, needs)
    state = translate(weights)
    content: Any = state if library == "torchvision" else {"model": state, "__author__": "maskrcnn"}
    try:
        with replacing(path) as temporary:
            if path.suffix == ".pkl":
                arrays = {name: tensor.numpy() for name, tensor in state.items()}
                temporary.write_bytes(pickle.dumps({**content, "model": arrays}))
            else:
                torch.save(content, temporary)
    except OSError as error:
        raise WeightsError(f"{path}: could not be written ({error.strerror}).") from error


def check_form(weights: Weights, library: str, needs: Needs) -> None:
    """Raise a WeightsError that names every setting for which a library has no form."""
    faults = []
    for key, allowed in needs.items():
        found, value = find_setting(weights.settings, key)
        if found and value not in allowed:
            faults.append(f"model.{key}={_word(value)} (there {' or '.join(map(_word, allowed))})")
    if faults:
        raise WeightsError(
            f"{weights.source}: {library} has no form for this model: {', '.join(faults)}. It would give other results "
            "there."
        )


def find_setting(settings: ModelSettings, key: str) -> tuple[bool, Any]:
    """Whether there is a setting `a.b`, which one of a part that is switched off is not, and its value."""
    value: Any = settings
    for name in key.split("."):
        if value is None:
            return False, None
        value = getattr(value, name)
    return True, value


def _word(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
