"""Weights of any library that is read, as a file of this one, or back as one of torchvision or detectron2."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from ..config import ModelSettings
from ..errors import WeightsError
from ..ops.files import replacing
from ..structures.classes import Classes
from .foreign.detectron2 import DETECTRON2_NEEDS, to_detectron2
from .foreign.torchvision import TORCHVISION_NEEDS, to_torchvision
from .own import SUFFIX, Weights, save_weights
from .reading import read_weights

Library = Literal["torchvision", "detectron2"]
Needs = Mapping[str, tuple[Any, ...]]
LIBRARIES: dict[Library, tuple[Needs, Callable[[Weights], dict[str, Tensor]], tuple[str, ...]]] = {
    "torchvision": (TORCHVISION_NEEDS, to_torchvision, (".pth", ".pt")),
    "detectron2": (DETECTRON2_NEEDS, to_detectron2, (".pkl", ".pth")),
}
"""What settings a library has a form for, how its tensors are made, and the suffixes of the files it loads."""


def convert_weights(
    source: str | Path | Weights,
    target: str | Path,
    *,
    to: Library | None = None,
    settings: ModelSettings | None = None,
    classes: Classes | Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
) -> Weights:
    """Read weights of any library that is read, and write them as a file of this one, or back as one of another.

    Example:
        convert_weights("model_final.pkl", "model.safetensors")
        convert_weights("model.safetensors", "back.pkl", to="detectron2")

    The way there and back is exact.

    Args:
        source: As for `read_weights`, or what it gave.
        target: The file to write: .safetensors; for torchvision .pth or .pt, for detectron2 .pkl or .pth.
        to: The library the file is for; None: this one.
        settings: Instead of those that were read, where a file cannot tell them; the layers stay as they are.
        classes: Instead of those that were read: names in the order of the labels, or also with category ids.
        dtype: Of the numbers in a file of this library; torch.float16 halves it. None: as they are.

    Returns:
        The weights as they are written.

    Raises:
        WeightsError: The source cannot be read, the target not be written, the settings ask for other layers, there are
            more or fewer classes, or the other library has no form for the model.
    """
    target = Path(target)
    check_target(target, to)
    weights = source if isinstance(source, Weights) else read_weights(source)
    if settings is not None:
        _check_layers(weights, settings)
        weights.settings = settings
    if classes is not None:
        weights.classes = _renamed(weights, Classes.of(classes))
    if to is not None:
        write_foreign(target, weights, to)
        return weights
    save_weights(
        target, weights.state, weights.settings, weights.classes, notes=weights.notes, extra=weights.extra, dtype=dtype
    )
    return weights


def check_target(target: Path, to: Library | None) -> None:
    """Raise a WeightsError if a file has not the name of those that a library loads; None: this one."""
    suffixes = (SUFFIX,) if to is None else LIBRARIES[to][2]
    if target.suffix not in suffixes:
        remedy = " (or say which library it is for: torchvision or detectron2)" if to is None else ""
        raise WeightsError(
            f"{target}: files of {to or 'this library'} end in {' or '.join(suffixes)}. Give such a name{remedy}."
        )


def write_foreign(path: Path, weights: Weights, library: Library) -> None:
    """Write a file that another library loads.

    Args:
        path: Its suffix is one that the library loads.
        weights: The model.
        library: torchvision or detectron2.

    Raises:
        WeightsError: The model has no form there, the file's kind is another, or it cannot be written.
    """
    needs, translate, _ = LIBRARIES[library]
    check_target(path, library)
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
            faults.append(f"{key}={_word(value)} (there {' or '.join(map(_word, allowed))})")
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


def _check_layers(weights: Weights, settings: ModelSettings) -> None:
    """Raise a WeightsError if settings ask for other layers than those of the tensors; it names them."""
    if _fits(weights, settings):
        return
    changes = _differences(weights.settings.model_dump(), settings.model_dump())
    wrong = [f"{key}={_word(value)}" for key, value in changes if not _fits_alone(weights, key, value)]
    remedy = f"Leave out {' '.join(wrong)}: settings of layers cannot change here." if wrong else None
    weights.check(settings, remedy=remedy)


def _fits(weights: Weights, settings: ModelSettings) -> bool:
    try:
        weights.check(settings)
    except WeightsError:
        return False
    return True


def _fits_alone(weights: Weights, key: str, value: Any) -> bool:
    """Whether one setting leaves the layers as they are; true too if it goes only with others."""
    tree = weights.settings.model_dump()
    *sections, name = key.split(".")
    place = tree
    for section in sections:
        place = place[section]
    place[name] = value
    try:
        return _fits(weights, ModelSettings.model_validate(tree))
    except ValidationError:
        return True


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of settings that have changed, with what they are now."""
    for name, value in after.items():
        if isinstance(value, Mapping) and isinstance(before.get(name), Mapping):
            yield from _differences(before[name], value, f"{prefix}{name}.")
        elif value != before.get(name):
            yield prefix + name, value


def _renamed(weights: Weights, classes: Classes) -> Classes:
    if len(classes) != len(weights.classes):
        raise WeightsError(
            f"{weights.source}: has {len(weights.classes)} classes, but {len(classes)} names are given: "
            f"{', '.join(classes.names)}. Name all in the order of the labels, without the background."
        )
    return replace(weights.classes, names=classes.names, category_ids=classes.category_ids)
