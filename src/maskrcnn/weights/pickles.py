"""Reading pickles and files of `torch.save` without executing anything: values, tensors, or one error.

The unpickler and what names stand for are in `unpickler.py`.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError
from .unpickler import ALLOWED, Array, Forbidden, Inert, Room, SafeUnpickler, is_shape, room_for_values


def read_pickle(content: bytes, source: str) -> Any:
    """The value of a pickle file of arrays and plain values, such as those of detectron2's and Detectron's model zoos.

    Args:
        content: The whole file.
        source: Its name, for messages.

    Returns:
        The value; arrays in it are `Array`, see `to_tensors`.

    Raises:
        WeightsError: It is cut off or holds anything else, which is named and was not executed.
    """
    try:
        room = room_for_values(len(content))
        return SafeUnpickler(io.BytesIO(content), room, allowed=ALLOWED, lenient=False).load()
    except Forbidden as error:
        raise refusal(source, str(error)) from error
    except DAMAGED as error:
        raise WeightsError(
            f"{source}: it is no whole pickle file, but cut off, damaged or of another kind. Fetch it again."
        ) from error


def refusal(source: str, what: str) -> WeightsError:
    """The error for a file that names something which is not read."""
    return WeightsError(
        f"{source}: it holds {what}, which could run code when it is loaded, and was not loaded. Only tensors and "
        "plain values are read: have the model's state_dict() alone saved; if it is nothing else, fetch it again."
    )


def to_tensor(value: Any) -> Tensor | None:
    """A tensor of a tensor or an array; None for everything else."""
    if isinstance(value, Array) and value.values is not None:
        return torch.from_numpy(np.ascontiguousarray(value.values).reshape(value.values.shape))
    return value.detach() if isinstance(value, Tensor) else None


DAMAGED = (
    *(pickle.UnpicklingError, struct.error, RuntimeError, OSError, EOFError, MemoryError, StopIteration),
    *(LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError),
)
"""What reading raises for files that are not whole."""


ZIP = b"PK\x03\x04"
MAGIC = 0x1950A86A20F9469CFC6C
# Beginning of a file of the old format: the pickled number above.
LEGACY = pickle.dumps(MAGIC, 2)
COUNT = struct.Struct("<q")
SAFE_SINCE = "2.10"
"""Version of torch whose `weights_only=True` also withstands files made to corrupt memory (CVE-2026-24747)."""

DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}


class Storage:
    """Numbers of one type, to which tensors refer; named by its class in a file."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Tensor):
        raise TypeError("a tensor without a storage")
    if not is_shape(size) or not is_shape(stride) or not isinstance(offset, int):
        raise ValueError("no shape of a tensor")
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor of {math.prod(size)} over {storage.numel()} numbers")
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


KNOWN: dict[str, Any] = {
    **ALLOWED,
    **{f"torch.{name}Storage": Storage(dtype) for name, dtype in DTYPES.items()},
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
}
PLAIN = {"collections.OrderedDict", *(name for name in KNOWN if name.startswith("torch."))}
"""What a file names that holds tensors, dictionaries and plain values only."""


class TorchUnpickler(SafeUnpickler):
    """Also makes tensors; objects of other libraries are inert, because checkpoints of training runs have them."""

    def __init__(self, file: io.BytesIO, room: Room, find_storage: Callable[[str, torch.dtype, int], Tensor]) -> None:
        super().__init__(file, room, allowed=KNOWN, lenient=True)
        self.find_storage = find_storage

    def persistent_load(self, pid: Any) -> Any:
        """The storage that (`storage`, type, key, device, count, ...) names."""
        kind, storage, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(count, int) or count < 0:
            raise ValueError("no storage")
        return self.find_storage(_key(key), storage.dtype, count) if isinstance(storage, Storage) else Inert()


def _key(value: Any) -> str:
    """Name of a storage; what else a file may hold there could be endless as text."""
    if not isinstance(value, str | int):
        raise ValueError("a storage without a name")
    return str(value)


def read_torch(path: Path, *, mapped: bool = True) -> Any:
    """The value in a file of `torch.save`: tensors and plain values; objects of anything else are `Inert`.

    A whole archive of nothing else is read by torch's own loader, which maps its numbers into memory. What that
    refuses, such as the numpy numbers and the log of a training run, and files of the old format are read by ours.

    Args:
        path: The file.
        mapped: Numbers may stay in the file, which must then stay as it is.

    Raises:
        WeightsError: It is cut off, damaged or of another kind, or cannot be read.
    """
    if torch.__version__ >= SAFE_SINCE and _is_plain_archive(path):
        with suppress(Exception):  # whatever it stumbles over, ours reads it or says what is wrong with it
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    return read_restricted(content, str(path))


def _is_plain_archive(path: Path) -> bool:
    """Whether a file is an archive as torch makes it, of which no bit has changed, with nothing but tensors.

    Its parts are not compressed, and its program names none of the functions that `weights_only` allows beside those of
    tensors: some of them set aside as much memory as a file asks for. Our own reader has run it, without the numbers.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            if len(names) < len(parts) or any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                return False
            if sum(part.file_size for part in parts) > path.stat().st_size or archive.testzip() is not None:
                return False
            programs = [archive.read(part) for part in parts if part.filename.endswith(".pkl")]
            return all(_is_plain(program) for program in programs)
    except (*DAMAGED, zipfile.BadZipFile):
        return False


def _is_plain(program: bytes) -> bool:
    def find_storage(_: str, dtype: torch.dtype, count: int) -> Tensor:
        return torch.empty(count, dtype=dtype, device="meta")

    if not all(name in PLAIN for name in _names(program)):
        return False
    TorchUnpickler(io.BytesIO(program), room_for_values(len(program)), find_storage).load()
    return True


def _names(program: bytes) -> Iterator[str]:
    """What a pickle names; of ways to do so that torch does not use, the way alone."""
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name == "GLOBAL":
            yield str(argument).replace(" ", ".")
        elif opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            yield opcode.name


def read_restricted(content: bytes, source: str) -> Any:
    """The value in a file of `torch.save`, by a reader that makes tensors and plain values only; see `read_torch`.

    Args:
        content: The whole file.
        source: Its name, for messages.

    Raises:
        WeightsError: It is cut off, damaged or of another kind.
    """
    try:
        return _read_zip(content) if content.startswith(ZIP) else _read_legacy(content)
    except Forbidden as error:
        raise refusal(source, str(error)) from error
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{source}: it is no whole file of torch.save, but cut off, damaged or of another kind. Fetch it again."
        ) from error


def _read_zip(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        folder = next(name for name in archive.namelist() if name.endswith("data.pkl")).removesuffix("data.pkl")
        storages: dict[str, Tensor] = {}
        room = Room(len(content))

        def find_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if key not in storages:
                storages[key] = _view(_stored(archive, f"{folder}data/{key}", room), dtype)
            if len(storages[key]) < count:
                raise ValueError(f"storage {key} is too short")
            return storages[key]

        program = _stored(archive, f"{folder}data.pkl", room)
        return TorchUnpickler(io.BytesIO(program), room_for_values(len(program)), find_storage).load()


def _stored(archive: zipfile.ZipFile, name: str, room: Room) -> bytearray:
    """A part of an archive, which torch never compresses."""
    part = archive.getinfo(name)
    if part.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    room.take(part.file_size)
    return bytearray(archive.read(part))


def _view(content: bytearray, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _read_legacy(content: bytes) -> Any:
    file = io.BytesIO(content)
    storages: dict[str, Tensor] = {}
    room = Room(len(content))

    def find_storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in storages:
            room.take(count * dtype.itemsize)
            storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    values = room_for_values(len(content))

    def load() -> Any:
        return TorchUnpickler(file, values, find_storage).load()

    if load() != MAGIC:
        raise ValueError("another kind of file")
    load()  # the version
    load()  # the system
    value = load()
    for key in load():
        storage = storages[_key(key)]
        (count,) = COUNT.unpack(file.read(COUNT.size))
        numbers = file.read(count * storage.element_size()) if count >= 0 else b""
        if count != len(storage) or len(numbers) != count * storage.element_size():
            raise ValueError("a storage is cut off")
        if numbers:
            storage.copy_(torch.frombuffer(bytearray(numbers), dtype=storage.dtype))
    return value
