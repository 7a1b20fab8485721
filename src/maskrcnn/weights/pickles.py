"""Pickles read without executing anything: plain values and numpy arrays, and inert objects for all else.

A pickle is a program that may name any function of any module. Here it never gets one: names stand for the few classes
below, which only hold data, or the file is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError

NUMBER = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
ENCODINGS = ("latin1", "latin-1")


class Forbidden(Exception):
    """A pickle names something that is not read here."""


class Inert:
    """Stands for an object of another library: it takes whatever a pickle gives it, and does nothing.

    Attributes:
        origin: Name of the class or function that was not called.
    """

    origin = ""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """Take an item of a list."""

    def extend(self, _: Any) -> None:
        """Take items of a list."""

    def add(self, _: Any) -> None:
        """Take an item of a set."""

    def __setitem__(self, _: Any, __: Any) -> None:
        pass


def make_inert(module: str, name: str) -> type[Inert]:
    """A class of inert objects that remembers what it stands for."""
    return type("Inert", (Inert,), {"origin": f"{module}.{name}"})


class NumberType:
    """A numpy dtype of plain numbers, as a pickle makes it."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not NUMBER.fullmatch(code):
            raise Forbidden(f"numbers of the type {code!r}")
        self.code = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Take the order of the bytes: (version, order, ...)."""
        self.code = self.code.newbyteorder(state[1])


class Array:
    """A numpy array as a pickle makes it: empty first, then with the type, shape and bytes as its state."""

    def __init__(self, *_: Any) -> None:
        self.values: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, type, whether columns are contiguous, bytes)."""
        _, shape, kind, columns, content = state
        self.values = _make_array(content, kind, shape, "F" if columns else "C")


def _make_array(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if isinstance(content, str):
        content = content.encode("latin1")  # Python 2 stored bytes as text
    if not isinstance(content, bytes | bytearray) or not isinstance(kind, NumberType):
        raise Forbidden("an array of objects")
    sides = tuple(shape)
    if not all(isinstance(side, int) and side >= 0 for side in sides):
        raise ValueError(f"shape {shape}")
    if math.prod(sides) * kind.code.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes for an array of shape {sides}")
    native = kind.code.newbyteorder("=")
    return np.frombuffer(content, kind.code).astype(native).reshape(sides, order="F" if order == "F" else "C")


def _from_buffer(content: Any, kind: Any, shape: Any, order: str) -> Array:
    array = Array()
    array.values = _make_array(content, kind, shape, order)
    return array


def _make_number(kind: Any, content: Any) -> Any:
    return _make_array(content, kind, (), "C").item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ENCODINGS:
        raise Forbidden(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": Array,
    "multiarray.scalar": _make_number,
    "numeric._frombuffer": _from_buffer,
}
ALLOWED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode,
    "numpy.ndarray": Array,
    "numpy.dtype": NumberType,
    **{f"numpy.core.{name}": made for name, made in _NUMPY.items()},
    **{f"numpy._core.{name}": made for name, made in _NUMPY.items()},
    "__builtin__.bytes": _no_bytes,
    **{f"{module}.{kind.__name__}": kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}


class SafeUnpickler(pickle._Unpickler):
    """Python's own unpickler, in which names never lead to a module.

    It is the one written in Python: the one in C sets aside as much memory as a number in the file says.
    """

    stack: list[Any]
    read: Callable[[int], bytes]

    def __init__(self, file: io.BytesIO, *, allowed: Mapping[str, Any], lenient: bool) -> None:
        """
        Args:
            file: Where to read; text of Python 2 is taken as Latin-1.
            allowed: What names stand for.
            lenient: Other names stand for inert objects; otherwise they are refused.
        """
        super().__init__(file, encoding="latin1")
        self.allowed = allowed
        self.lenient = lenient

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; nothing is imported."""
        full = f"{module}.{name}"
        if full in self.allowed:
            return self.allowed[full]
        if self.lenient:
            return make_inert(module, name)
        raise Forbidden(full)

    def get_extension(self, code: int) -> Any:
        """Numbers for names are those of a registry that a file cannot bring along."""
        raise Forbidden(f"extension {code}")

    def load_build(self) -> None:
        """The state of an object; only those that are made here take one."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Array | NumberType):
            self.stack[-1].set_state(state)

    def load_bytearray8(self) -> None:
        """Bytes; no more memory is set aside than the file has."""
        (count,) = struct.unpack("<Q", self.read(8))
        self.stack.append(bytearray(self.read(count)))

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }


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
        return SafeUnpickler(io.BytesIO(content), allowed=ALLOWED, lenient=False).load()
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
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor of shape {tuple(size)} over {storage.numel()} numbers")
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
    "torch.Size": tuple,
}
PLAIN = {"collections.OrderedDict", *(name for name in KNOWN if name.startswith("torch."))}
"""What a file names that holds tensors, dictionaries and plain values only."""


class TorchUnpickler(SafeUnpickler):
    """Also makes tensors; objects of other libraries are inert, because checkpoints of training runs have them."""

    def __init__(self, file: io.BytesIO, find_storage: Callable[[str, torch.dtype, int], Tensor]) -> None:
        super().__init__(file, allowed=KNOWN, lenient=True)
        self.find_storage = find_storage

    def persistent_load(self, pid: Any) -> Any:
        """The storage that (`storage`, type, key, device, count, ...) names."""
        kind, storage, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(count, int) or count < 0:
            raise ValueError(f"{pid}")
        return self.find_storage(str(key), storage.dtype, count) if isinstance(storage, Storage) else Inert()


def read_torch(path: Path) -> Any:
    """The value in a file of `torch.save`: tensors and plain values; objects of anything else are `Inert`.

    A whole archive of nothing else is read by torch's own loader, which maps its numbers into memory. What that
    refuses, such as the numpy numbers and the log of a training run, and files of the old format are read by ours.

    Raises:
        WeightsError: It is cut off, damaged or of another kind, or cannot be read.
    """
    if torch.__version__ >= SAFE_SINCE and _is_plain_archive(path):
        with suppress(Exception):  # whatever it stumbles over, ours reads it or says what is wrong with it
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    return read_restricted(content, str(path))


def _is_plain_archive(path: Path) -> bool:
    """Whether a file is an archive as torch makes it, of which no bit has changed, with nothing but tensors.

    Its parts are not compressed, and its program names none of the functions that `weights_only` allows beside those of
    tensors: some of them set aside as much memory as a file asks for.
    """
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                return False
            if sum(part.file_size for part in parts) > path.stat().st_size or archive.testzip() is not None:
                return False
            programs = [archive.read(part) for part in parts if part.filename.endswith(".pkl")]
            return all(name in PLAIN for program in programs for name in _names(program))
    except (*DAMAGED, zipfile.BadZipFile):
        return False


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

        return TorchUnpickler(io.BytesIO(_stored(archive, f"{folder}data.pkl", room)), find_storage).load()


class Room:
    """Bytes of a file that its parts may still claim to have."""

    def __init__(self, count: int) -> None:
        self.left = count

    def take(self, count: int) -> None:
        """Give `count` bytes away; a ValueError if there are not so many."""
        self.left -= count
        if self.left < 0:
            raise ValueError("the parts are longer than the file")


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

    if TorchUnpickler(file, find_storage).load() != MAGIC:
        raise ValueError("another kind of file")
    for _ in ("version", "system"):
        TorchUnpickler(file, find_storage).load()
    value = TorchUnpickler(file, find_storage).load()
    for key in TorchUnpickler(file, find_storage).load():
        storage = storages[str(key)]
        (count,) = COUNT.unpack(file.read(COUNT.size))
        numbers = file.read(count * storage.element_size()) if count >= 0 else b""
        if count != len(storage) or len(numbers) != count * storage.element_size():
            raise ValueError("a storage is cut off")
        if numbers:
            storage.copy_(torch.frombuffer(bytearray(numbers), dtype=storage.dtype))
    return value
