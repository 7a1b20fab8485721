"""One door for weights: a file in any format that is understood, or a name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import ModelSettings
from ..config.presets import read_preset
from ..errors import WeightsError
from .categories import name_by_data
from .detectron import is_benchmark, is_detectron, read_benchmark, read_detectron
from .detectron2 import is_detectron2, read_detectron2
from .files import KEY, Weights, load_weights, read_safetensors, single_precision, unpack_weights
from .kinds import find_kind
from .mmdetection import is_mmdetection, read_mmdetection
from .mmengine import read_config
from .pickles import Inert, read_pickle, refusal, to_tensor
from .published import PUBLISHED, SHIPPED, download, find_published
from .structure import merge
from .torch_files import read_torch
from .torchvision import is_torchvision, read_torchvision

# Where files keep their tensors: training runs, mmdetection, Detectron.
CONTAINERS = ("model", "state_dict", "blobs")
WRAPPERS = ("module.", "model.", "_orig_mod.")
READERS: list[tuple[Callable[[Mapping[str, Tensor]], bool], Callable[[Mapping[str, Tensor], str], Weights]]] = [
    (is_torchvision, read_torchvision),
    (is_detectron2, read_detectron2),
    (is_mmdetection, read_mmdetection),
    (is_benchmark, read_benchmark),
    (is_detectron, read_detectron),
]


def read_weights(source: str | Path) -> Weights:
    """Read a model's weights, with its settings and classes.

    Args:
        source: A file, whatever it is called: our .safetensors, or one of torchvision, detectron2, mmdetection, MMOCR,
            Detectron or maskrcnn-benchmark; the name of weights that came with the library such as `nuclei`; or the
            name of published ones such as `detectron2/R50-FPN-3x`, which are downloaded once.

    Raises:
        WeightsError: There is no such file or name, or it cannot be read. Nothing in a file is ever executed.
    """
    path = Path(source)
    if path.is_file():
        return _read_safetensors(path) if find_kind(path) == "safetensors" else _read_foreign(path)[0]
    if str(source) in SHIPPED:
        return load_weights(SHIPPED[str(source)])
    if known := find_published(str(source)):
        return _read_published(known)
    if path.is_dir():
        raise WeightsError(f"{source}: this is a folder. Give the weights file in it, for example best.safetensors.")
    near = difflib.get_close_matches(str(source), [*SHIPPED, *PUBLISHED], n=2, cutoff=0.7)
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    raise WeightsError(f"{source}: no such file, and no weights of that name.{guess} `maskrcnn models` lists all.")


def _read_published(name: str) -> Weights:
    """A published checkpoint; its data's classes and some settings have no trace in its tensors, but are known."""
    weights, meta = _read_foreign(download(name))
    weights.classes = name_by_data(weights.classes, PUBLISHED[name].trained_on)
    preset = PUBLISHED[name].preset
    if preset is None:
        return weights
    tree = merge(read_preset(preset).model_dump(), read_config(meta))
    return replace(weights, settings=ModelSettings.model_validate(tree))


def _read_foreign(path: Path) -> tuple[Weights, dict[str, Any]]:
    state, meta = read_foreign_file(path)
    weights = understand(state, str(path), meta)
    weights.notes["source"] = path.name
    return weights, meta


def _read_safetensors(path: Path) -> Weights:
    """A file of ours, or tensors of a library that is known here by their names."""
    state, metadata = read_safetensors(path)
    if KEY in metadata or find_reader(state) is None:
        return unpack_weights(path, state, metadata)
    weights = understand(state, str(path))
    weights.notes["source"] = path.name
    return weights


def understand(state: Mapping[str, Tensor], source: str, meta: Mapping[str, Any] | None = None) -> Weights:
    """Read tensors under the names of any library that is known here; it is recognised by the names alone.

    Args:
        state: Tensors by their names.
        source: Where they come from, for messages.
        meta: What mmdetection's files say beside their tensors.

    Raises:
        WeightsError: The names are of no known library, or some tensors have no place here; they are named.
    """
    for names in (state, _unwrapped(state)):
        reader = find_reader(names)
        if reader is read_mmdetection:
            return read_mmdetection(names, source, meta)
        if reader is not None:
            return reader(names, source)
    raise WeightsError(
        f"{source}: not a detector of a library that is known here; its first tensors are "
        f"{', '.join(list(state)[:3])}. Readable are the Faster, Mask, Keypoint and Cascade R-CNNs of torchvision, "
        "detectron2, mmdetection, MMOCR, maskrcnn-benchmark and Detectron, and this library's own .safetensors files; "
        "of a training run here, use best.safetensors or last.safetensors instead of last.pt."
    )


def _unwrapped(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Without a start that all names share, as the modules that train a model in parallel or compiled give them."""
    for wrapper in WRAPPERS:
        if state and all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return state


def find_reader(state: Mapping[str, Tensor]) -> Callable[[Mapping[str, Tensor], str], Weights] | None:
    """The reader of the library to which the names of the tensors belong; None if none is known."""
    return next((read for recognises, read in READERS if recognises(state)), None)


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """Tensors of another library's file; see `read_foreign_file`."""
    return read_foreign_file(path)[0]


def read_foreign_file(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a file of `torch.save` or a pickle of arrays, without executing anything in it.

    Files that hold them under `model`, `state_dict` or `blobs`, beside other things, are read too. Of objects of other
    libraries in a torch file, such as the log of a training run, nothing is made.

    Returns:
        Tensors by their names, floating point ones at least in single precision, and what the file says in `meta`.

    Raises:
        WeightsError: It is cut off, is no such file, or its tensors are mixed with other things.
    """
    kind = find_kind(path)
    content = _content(path)
    value = read_torch(content, str(path)) if kind == "torch" else read_pickle(content, str(path))
    meta = value.get("meta") if isinstance(value, dict) else None
    for key in CONTAINERS:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    return _tensors(value, path), meta if isinstance(meta, dict) else {}


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    return content


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a dictionary; remarks of text and numbers, as model zoos have them, are left out."""
    found = {}
    for name, one in value.items() if isinstance(value, dict) else ():
        tensor = to_tensor(one)
        if isinstance(one, Inert):
            raise refusal(str(path), one.origin)
        if tensor is not None and isinstance(name, str):
            found[name] = single_precision(tensor)
    if not found:
        raise WeightsError(f"{path}: holds no state dict (names with tensors). Save the model's state_dict() alone.")
    return found
