"""Pickles read without executing anything: plain values and numpy arrays, and inert objects for all else.

A pickle is a program that may name any function of any module. Here it never gets one: names stand for the few classes
below, which only hold data, or the file is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
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
