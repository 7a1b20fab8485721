"""One door for weights: a file in any format that is understood, or a name."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import ModelSettings
from ..config.presets import read_preset
from ..errors import WeightsError
from .files import read_tensors
from .foreign.detectron import is_detectron, is_maskrcnn_benchmark, read_detectron, read_maskrcnn_benchmark
from .foreign.detectron2 import is_detectron2, read_detectron2
from .foreign.mmdetection import is_mmdetection, read_config, read_mmdetection
from .foreign.names import name_by_data
from .foreign.structure import merge
from .foreign.torchvision import is_torchvision, read_torchvision
from .own import KEY, Weights, load_weights, unpack_weights
from .published import PUBLISHED, SHIPPED, download, find_published

MOST_WRAPPERS = 4
READERS: list[tuple[Callable[[Mapping[str, Tensor]], bool], Callable[[Mapping[str, Tensor], str], Weights]]] = [
    (is_torchvision, read_torchvision),
    (is_detectron2, read_detectron2),
    (is_mmdetection, read_mmdetection),
    (is_maskrcnn_benchmark, read_maskrcnn_benchmark),
    (is_detectron, read_detectron),
]


def is_name_of_weights(name: str) -> bool:
    """Whether weights that came with the library, or published ones, have this name."""
    return name in SHIPPED or bool(find_published(name))


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
        return _read_file(path)[0]
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
    weights, meta = _read_file(download(name))
    weights.classes = name_by_data(weights.classes, PUBLISHED[name].trained_on)
    preset = PUBLISHED[name].preset
    if preset is None:
        return weights
    tree = merge(read_preset(preset).model_dump(), read_config(meta))
    return replace(weights, settings=ModelSettings.model_validate(tree))


def _read_file(path: Path) -> tuple[Weights, Mapping[str, Any]]:
    """The model in a file, and what the file says beside its tensors."""
    state, meta = read_tensors(path)
    if isinstance(meta.get(KEY), str):
        return unpack_weights(path, state, meta), {}
    weights = understand(state, str(path), meta)
    weights.notes["source"] = path.name
    return weights, meta


def understand(state: Mapping[str, Tensor], source: str, meta: Mapping[str, Any] | None = None) -> Weights:
    """Read tensors under the names of any library that is known here; it is recognized by the names alone.

    Args:
        state: Tensors by their names.
        source: Where they come from, for messages.
        meta: What mmdetection's files say beside their tensors.

    Raises:
        WeightsError: The names are of no known library, or some tensors have no place here; they are named.
    """
    for names in _spellings(state):
        reader = _find_reader(names)
        if reader is read_mmdetection:
            return read_mmdetection(names, source, meta)
        if reader is not None:
            return reader(names, source)
    raise WeightsError(
        f"{source}: not a detector of a library that is known here; its first tensors are "
        f"{', '.join(list(state)[:3])}. Readable are the Faster, Mask, Keypoint and Cascade R-CNNs of torchvision, "
        "detectron2, mmdetection, MMOCR, maskrcnn-benchmark and Detectron, and this library's own .safetensors files, "
        "which hold settings and classes too (see save_weights); of a training run here, use best.safetensors or "
        "last.safetensors instead of last.pt."
    )


def _spellings(state: Mapping[str, Tensor]) -> Iterator[Mapping[str, Tensor]]:
    """The names as they are, and without the first words that most of them share, one after the other.

    Modules that train a model in parallel, compiled, averaged or within another one put such words before its names;
    what lies beside the model, such as a criterion, has others.
    """
    yield state
    for _ in range(MOST_WRAPPERS):
        words = Counter(name.partition(".")[0] for name in state)
        first, count = words.most_common(1)[0] if words else ("", 0)
        state = {name.partition(".")[2]: one for name, one in state.items() if name.startswith(f"{first}.")}
        if not first or 2 * count < len(words):
            return
        yield state


def _find_reader(state: Mapping[str, Tensor]) -> Callable[[Mapping[str, Tensor], str], Weights] | None:
    """The reader of the library to which the names of the tensors belong; None if none is known."""
    return next((read for recognizes, read in READERS if recognizes(state)), None)
