"""Pickles read without executing anything: plain values and numpy arrays, and inert objects for all else.

A pickle is a program that may name any function of any module. Here it never gets one: names stand for the few classes
below, which only hold data, or the file is refused. What it makes is counted beforehand: a short program can ask for
the same copy thousands of times.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

NUMBER = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
ENCODINGS = ("latin1", "latin-1")
MOST_SIDES = 64
"""Sides of an array; numpy has no more."""
SPARE = 256 << 20
PER_BYTE = 4
OBJECT, ENTRY, CLASS = 100, 150, 1200
"""About how many bytes an object takes, an entry of a container, and a class."""


class Forbidden(Exception):
    """A pickle names something that is not read here."""


class Room:
    """Bytes that reading a file may still take."""

    def __init__(self, count: int) -> None:
        self.left = count

    def take(self, count: int) -> None:
        """Give `count` bytes away; a ValueError if there are not so many."""
        self.left -= count
        if self.left < 0:
            raise ValueError("the parts are longer than the file")


def room_for_values(file_size: int) -> Room:
    """What the values in a file may take in memory: several times its size, since small objects are larger there."""
    return Room(SPARE + PER_BYTE * file_size)


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
            raise Forbidden(f"numbers of the type {_shown(code)}")
        self.code = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Take the order of the bytes: (version, order, ...)."""
        self.code = self.code.newbyteorder(state[1])


class Array:
    """A numpy array as a pickle makes it: empty first, then with the type, shape and bytes as its state."""

    values: np.ndarray | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def set_state(self, state: Any) -> None:
        """Take (version, shape, type, whether columns are contiguous, bytes)."""
        _, shape, kind, columns, content = state
        self.values = _make_array(content, kind, shape, "F" if columns is True or columns == 1 else "C")


def is_shape(sides: Any) -> bool:
    """Whether a value of a file is a shape: whole numbers from 0 on, and not too many."""
    if not isinstance(sides, tuple | list) or len(sides) > MOST_SIDES:
        return False
    return all(isinstance(side, int) and side >= 0 for side in sides)


def _make_array(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(content, str):
        content = content.encode("latin1")  # Python 2 stored bytes as text
    if not isinstance(content, bytes | bytearray) or not isinstance(kind, NumberType):
        raise Forbidden("an array of objects")
    if not is_shape(shape):
        raise ValueError("no shape of an array")
    if math.prod(shape) * kind.code.itemsize != len(content):
        raise ValueError(f"{len(content)} bytes for an array of another size")
    native = kind.code.newbyteorder("=")
    return np.frombuffer(content, kind.code).astype(native).reshape(shape, order="F" if order == "F" else "C")


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.values = _make_array(content, kind, shape, order)
    return array


def _make_number(kind: Any, content: Any) -> Any:
    return _make_array(content, kind, (), "C").item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ENCODINGS:
        raise Forbidden(f"text in the encoding {_shown(encoding)}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _make_set(items: Iterable[Any] = ()) -> set[Any]:
    return set(check_keys(items))


def _make_frozenset(items: Iterable[Any] = ()) -> frozenset[Any]:
    return frozenset(check_keys(items))


def _make_ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    pairs = list(items.items() if isinstance(items, dict) else items)
    check_keys(key for key, _ in pairs)
    return OrderedDict(pairs)


def _make_tuple(items: Iterable[Any] = ()) -> tuple[Any, ...]:
    return tuple(items)


def check_keys(keys: Iterable[Any]) -> list[Any]:
    """Keys or members that can be looked up at once.

    Raises:
        ValueError: One is a container: a tuple that holds itself twice at each of 60 levels is hashed for ever.
    """
    keys = list(keys)
    if any(isinstance(key, tuple | frozenset) for key in keys):
        raise ValueError("a container as a key or in a set")
    return keys


def _shown(value: Any) -> str:
    """A value of a file in a message: text that is not too long, of all else its kind."""
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": Array,
    "multiarray.scalar": _make_number,
    "numeric._frombuffer": _from_buffer,
}
ALLOWED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _make_ordered,
    "_codecs.encode": _encode,
    "numpy.ndarray": Array,
    "numpy.dtype": NumberType,
    **{f"numpy.core.{name}": made for name, made in _NUMPY.items()},
    **{f"numpy._core.{name}": made for name, made in _NUMPY.items()},
    "__builtin__.bytes": _no_bytes,
    **{f"{module}.set": _make_set for module in ("builtins", "__builtin__")},
    **{f"{module}.frozenset": _make_frozenset for module in ("builtins", "__builtin__")},
    "torch.Size": _make_tuple,
}


class SafeUnpickler(pickle._Unpickler):
    """Python's own unpickler, in which names never lead to a module.

    It is the one written in Python: the one in C sets aside as much memory as a number in the file says.
    """

    stack: list[Any]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]
    append: Callable[[Any], None]

    def __init__(self, file: io.BytesIO, room: Room, *, allowed: Mapping[str, Any], lenient: bool) -> None:
        """
        Args:
            file: Where to read; text of Python 2 is taken as Latin-1.
            room: What the values may take in memory.
            allowed: What names stand for.
            lenient: Other names stand for inert objects; otherwise they are refused.
        """
        super().__init__(file, encoding="latin1")
        self.room = room
        self.allowed = allowed
        self.lenient = lenient
        self._inert: dict[tuple[str, str], type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for; nothing is imported."""
        full = f"{module}.{name}"
        if full in self.allowed:
            return self.allowed[full]
        if not self.lenient:
            raise Forbidden(full[:200])
        if (module, name) not in self._inert:
            self.room.take(CLASS)
            self._inert[module, name] = make_inert(module, name)
        return self._inert[module, name]

    def get_extension(self, code: int) -> Any:
        """Numbers for names are those of a registry that a file cannot bring along."""
        raise Forbidden(f"extension {code}")

    def make(self, function: Any, values: Any) -> Any:
        """Call what a name stands for, if there is room for what it makes of the values."""
        if not isinstance(values, tuple):
            raise ValueError("a call without a tuple of values")
        self.room.take(OBJECT + 8 * len(values) + sum(map(_weight, values)))
        return function(*values)

    def load_reduce(self) -> None:
        """Call."""
        values, function = self.stack.pop(), self.stack.pop()
        self.append(self.make(function, values))

    def load_newobj_ex(self) -> None:
        """Make an object; values by name are left out, since nothing here takes any."""
        self.stack.pop()
        self.load_reduce()

    def _instantiate(self, kind: Any, values: Any) -> None:
        self.append(self.make(kind, tuple(values)))

    def load_build(self) -> None:
        """The state of an object; only those that are made here take one."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Array | NumberType):
            self.room.take(sum(map(_weight, state)) if isinstance(state, tuple) else 0)
            self.stack[-1].set_state(state)

    def load_bytearray8(self) -> None:
        """Bytes; no more memory is set aside than the file has."""
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(count)))

    def load_dict(self) -> None:
        """A dictionary of all that follows the mark."""
        items = self.pop_mark()
        self.room.take(OBJECT + ENTRY * len(items))
        check_keys(items[::2])
        self.append({items[i]: items[i + 1] for i in range(0, len(items), 2)})

    def load_setitem(self) -> None:
        """One entry of a dictionary."""
        value, key = self.stack.pop(), self.stack.pop()
        self._enter([key, value])

    def load_setitems(self) -> None:
        """Entries of a dictionary."""
        self._enter(self.pop_mark())

    def _enter(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict | Inert):
            raise ValueError("entries of what is no dictionary")
        self.room.take(ENTRY * len(items))
        check_keys(items[::2])
        for i in range(0, len(items), 2):
            self.stack[-1][items[i]] = items[i + 1]

    def load_additems(self) -> None:
        """Members of a set."""
        items = self.pop_mark()
        if not isinstance(self.stack[-1], set | Inert):
            raise ValueError("members of what is no set")
        self.room.take(ENTRY * len(items))
        for item in check_keys(items):
            self.stack[-1].add(item)

    def load_frozenset(self) -> None:
        """A set that does not change."""
        items = self.pop_mark()
        self.room.take(OBJECT + ENTRY * len(items))
        self.append(frozenset(check_keys(items)))

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.DICT[0]: load_dict,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
    }


def _counted(load: Callable[..., None]) -> Callable[..., None]:
    def load_counted(self: SafeUnpickler) -> None:
        self.room.take(OBJECT)
        load(self)

    return load_counted


# One byte of a file asks for a container of a hundred.
for _code in (pickle.EMPTY_DICT, pickle.EMPTY_LIST, pickle.EMPTY_SET, pickle.LIST, pickle.TUPLE1):
    SafeUnpickler.dispatch[_code[0]] = _counted(SafeUnpickler.dispatch[_code[0]])


def _weight(value: Any) -> int:
    """About how many bytes a copy of a value takes."""
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    return ENTRY * len(value) if isinstance(value, tuple | list | dict | set | frozenset) else 0
