"""Files of weights as tensors, whoever wrote them: the first bytes say the format, and nothing is executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import WeightsError
from .pickles import LEGACY, ZIP, read_pickle, read_torch, refusal, to_tensor
from .unpickler import Inert, Room

Format = Literal["torch", "pickle", "safetensors"]

START = 512
WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", re.IGNORECASE)
# The length of the header, below 2**32, and the brace with which the header begins.
SAFETENSORS = re.compile(rb"....\0\0\0\0\{", re.DOTALL)
# Binary protocols (but not the number with which old torch files begin), and dictionaries and objects in older ones.
PICKLE = re.compile(rb"\x80[\x02-\x05][^\x8a]|\(d|\}q|c\w[\w.]*\n", re.DOTALL)
# Where files keep their tensors: training runs, mmdetection, Detectron.
CONTAINERS = (
    *("model", "state_dict", "model_state_dict", "model_state", "net", "network", "weights", "blobs"),
    *("ema", "model_ema", "ema_state_dict"),
)
_HALF = (torch.float16, torch.bfloat16)
NUMBERS = {
    *(*_HALF, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}
"""Types with which every function of torch computes; those of 8 or fewer bits and complex ones are no weights."""
SPARE = 64 << 20
BY_SUFFIX: dict[str, Format] = {".pth": "torch", ".pt": "torch", ".pkl": "pickle"}


def find_format(path: Path) -> Format:
    """Whether a file is one of `torch.save`, a pickle or safetensors.

    Only if its beginning says nothing (it was cut off or damaged), its suffix says what it should have been.

    Raises:
        WeightsError: It cannot be read, is empty or is a web page.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    if not start:
        raise WeightsError(f"{path}: the weights file is empty (0 bytes). Copy or download it again.")
    if WEB_PAGE.match(start):
        raise WeightsError(
            f"{path}: this is a web page, not weights, perhaps one that asks to log in or from which the file is "
            "fetched. Fetch the file itself."
        )
    if SAFETENSORS.match(start):
        return "safetensors"
    if start.startswith((ZIP, LEGACY)):
        return "torch"
    if PICKLE.match(start):
        return "pickle"
    return BY_SUFFIX.get(path.suffix.lower(), "safetensors")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a safetensors file, one of `torch.save` or a pickle of arrays, without executing anything in it.

    Files that hold them under `model`, `state_dict` or `blobs`, beside other things, are read too. Of objects of other
    libraries in a torch file, such as the log of a training run, nothing is made.

    Returns:
        Tensors by their names, floating point ones at least in single precision, and what the file says beside them:
        the metadata of a safetensors file, or what others hold under `meta`.

    Raises:
        WeightsError: It is cut off, is no such file, or its tensors are mixed with other things.
    """
    written_as = find_format(path)
    if written_as == "safetensors":
        return read_safetensors(path)
    value = read_torch(path) if written_as == "torch" else read_pickle(path.read_bytes(), str(path))
    meta = value.get("meta") if isinstance(value, dict) else None
    for key in CONTAINERS:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    return _tensors(value, path), meta if isinstance(meta, dict) else {}


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors of any safetensors file, half precision as float32, and its metadata.

    Raises:
        WeightsError: It is missing, cut off or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
        raise WeightsError(
            f"{path}: not a whole safetensors file ({error}). It was cut off or is of another kind; "
            "copy or download it again."
        ) from error
    for name, tensor in state.items():
        _check_type(path, name, tensor)
    return {name: single_precision(tensor) for name, tensor in state.items()}, metadata


def _check_type(path: Path, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in NUMBERS:
        raise WeightsError(
            f"{path}: tensor {name} is of the type {str(tensor.dtype).removeprefix('torch.')}, with which a model "
            "cannot compute. Save it as float32."
        )


def single_precision(tensor: Tensor) -> Tensor:
    """Half precision as float32, everything else as it is."""
    return tensor.float() if tensor.dtype in _HALF else tensor


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a dictionary; remarks of text and numbers, as model zoos have them, are left out."""
    found = {}
    room = Room(SPARE + 4 * path.stat().st_size)
    for name, one in value.items() if isinstance(value, dict) else ():
        tensor = to_tensor(one)
        if isinstance(one, Inert):
            raise refusal(str(path), one.origin)
        if tensor is not None and isinstance(name, str):
            if not _is_plain(tensor):
                raise WeightsError(
                    f"{path}: tensor {name} is sparse, quantized or without numbers, or its shape {list(tensor.shape)} "
                    "claims more of them than the file has. Save the model's state_dict() with plain tensors."
                )
            _check_type(path, name, tensor)
            try:
                room.take(tensor.numel() * max(4, tensor.element_size()))
            except ValueError as error:
                raise WeightsError(
                    f"{path}: with tensor {name} its tensors have far more numbers than the file, because many share "
                    "the same. Save the model's state_dict() with a copy for each."
                ) from error
            found[name] = single_precision(tensor)
    if not found:
        raise WeightsError(f"{path}: holds no state dict (names with tensors). Save the model's state_dict() alone.")
    return found


def _is_plain(tensor: Tensor) -> bool:
    """Whether every number of a tensor has its own place in memory."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
