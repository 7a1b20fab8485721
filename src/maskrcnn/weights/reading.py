"""One door for weights: a file in any format that is understood, or a name."""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import WeightsError
from .detectron2 import is_detectron2, read_detectron2
from .files import Weights, load_weights
from .mmdetection import is_mmdetection, read_mmdetection
from .published import PUBLISHED, download
from .torchvision import is_torchvision, read_torchvision

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "shipped").glob("*.safetensors"))}
TORCH_SUFFIXES = (".pth", ".pt")
DAMAGED = (
    *(pickle.UnpicklingError, struct.error, RuntimeError, OSError, EOFError),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError),
)
"""What torch raises for files that are not whole."""


def read_weights(source: str | Path) -> Weights:
    """Read a model's weights, with its settings and classes.

    Args:
        source: A file (our .safetensors, torchvision's .pth), the name of weights that came with the library such as
            `nuclei`, or the name of published ones such as `torchvision/maskrcnn_resnet50_fpn`, which are downloaded
            once.

    Raises:
        WeightsError: There is no such file or name, or it cannot be read. Nothing in a file is ever executed.
    """
    path = Path(source)
    if path.is_file():
        return _read_file(path)
    if str(source) in SHIPPED:
        return load_weights(SHIPPED[str(source)])
    if str(source) in PUBLISHED:
        return _read_file(download(str(source)))
    if path.is_dir():
        raise WeightsError(f"{source}: this is a folder. Give the weights file in it, for example best.safetensors.")
    known = ", ".join([*SHIPPED, *PUBLISHED])
    raise WeightsError(f"{source}: no such file, and no weights of that name. Known names: {known}.")


def _read_file(path: Path) -> Weights:
    if path.suffix not in TORCH_SUFFIXES:
        return load_weights(path)
    weights = understand(read_torch_file(path), str(path))
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
    if is_torchvision(state):
        return read_torchvision(state, source)
    if is_detectron2(state):
        return read_detectron2(state, source)
    if is_mmdetection(state):
        return read_mmdetection(state, source, meta)
    raise WeightsError(
        f"{source}: not a detector of a library that is known here; its first tensors are "
        f"{', '.join(list(state)[:3])}. Readable are the Faster, Mask, Keypoint and Cascade R-CNNs of torchvision, "
        "detectron2, mmdetection, MMOCR, maskrcnn-benchmark and Detectron, and this library's own .safetensors files; "
        "of a training run here, use best.safetensors or last.safetensors instead of last.pt."
    )


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """Tensors of a file written by `torch.save`, without executing anything in it.

    Raises:
        WeightsError: It is cut off, is no such file, or holds more than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise WeightsError(_why_unreadable(path, error)) from error
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(one, Tensor) for one in content.values()):
        raise WeightsError(f"{path}: holds no state dict (names with tensors). Save the model's state_dict() alone.")
    return dict(content)


def _why_unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file; torch's own text advises to switch the protection off; this does not."""
    forbidden = re.search(r"GLOBAL ([\w.]*\w)(?=\s)", str(error))
    if forbidden:
        return (
            f"{path}: it holds {forbidden[1]}, which could run code when it is loaded, and was not loaded. Only "
            "tensors are read: have the model's state_dict() alone saved; if it is nothing else, fetch it again."
        )
    return f"{path}: it is no whole file of torch.save, but cut off, damaged or of another kind. Fetch it again."
