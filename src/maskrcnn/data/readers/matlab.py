"""MATLAB files of versions 5 to 7: numbers, text, structures and cells.

The format is MathWorks' "MAT-File Format", level 5. The reader is our own because SciPy's believes what a damaged file
says and ends the whole process; here every count is compared with the bytes that there are.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError

HEADER = 128
MOST_BYTES = 1 << 29
"""Of all variables of a file, unpacked."""
DEEPEST = 20
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCTURE, CHARACTERS = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
COMPLEX = 0x0800


def read_matlab(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file; those of other kinds, such as sparse ones and objects, are left out.

    Returns:
        Arrays by name. A structure is an array with named fields of objects, a cell is an array of objects.

    Raises:
        DataError: The file is missing or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read as MATLAB's ({error.strerror}). Copy it again.") from error
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if content[:8] == b"\x89HDF\r\n\x1a\n" or (order and content[124:126] in (b"\0\2", b"\2\0")):
        raise DataError(f"{path}: is a MATLAB file of version 7.3, which is not read. Save it with -v7.")
    if order is None:
        raise DataError(f"{path}: is no MATLAB file of version 5 to 7. Save it with -v7.")
    try:
        return _Reader(order).variables(content[HEADER:])
    except (ValueError, struct.error, zlib.error, KeyError, IndexError, OverflowError, MemoryError, TypeError) as error:
        raise DataError(f"{path}: the file cannot be read as MATLAB's ({error}). Copy it again.") from error


@dataclass
class _Part:
    kind: int
    content: bytes


class _Parts:
    """The parts of a stretch of bytes, one after the other."""

    def __init__(self, content: bytes, order: str) -> None:
        self.content, self.order, self.place = content, order, 0

    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self.content) - self.place

    def next(self) -> _Part:
        """A tag of 8 bytes and its content, filled up to 8 bytes; or a tag of 4 with up to 4 bytes of content."""
        kind, count = struct.unpack_from(f"{self.order}II", self.content, self.place)
        start, whole = self.place + 8, 8
        if kind >> 16:
            kind, count, start, whole = kind & 0xFFFF, kind >> 16, self.place + 4, 4
        if count > len(self.content) - start or (whole == 4 and count > 4):
            raise ValueError("it is cut off")
        filled = count if kind == COMPRESSED else -(-count // whole) * whole
        self.place = start + (4 if whole == 4 else filled)
        return _Part(kind, self.content[start : start + count])


class _Reader:
    def __init__(self, order: str) -> None:
        self.order = order
        self.left = MOST_BYTES

    def variables(self, content: bytes) -> dict[str, Any]:
        found = {}
        parts = _Parts(content, self.order)
        while parts.left() >= 8:
            part = parts.next()
            if part.kind == COMPRESSED:
                part = _Parts(self._unpacked(part.content), self.order).next()
            if part.kind == MATRIX:
                name, value = self.matrix(part.content, 0)
                if value is not None:
                    found[name] = value
        return found

    def _unpacked(self, content: bytes) -> bytes:
        stream = zlib.decompressobj()
        unpacked = stream.decompress(content, self.left)
        self.left -= len(unpacked)
        if self.left <= 0:
            raise ValueError(f"its variables have more than {MOST_BYTES >> 20} MB")
        return unpacked

    def matrix(self, content: bytes, depth: int) -> tuple[str, Any]:
        """Name and value; None for a kind that is not read."""
        if depth > DEEPEST:
            raise ValueError(f"structures of more than {DEEPEST} levels")
        if not content:
            return "", np.zeros((0, 0))
        parts = _Parts(content, self.order)
        (flags,) = struct.unpack_from(f"{self.order}I", parts.next().content)
        sides = tuple(self._numbers(parts.next()).tolist())
        if not 2 <= len(sides) <= 32 or min(sides) < 0:
            raise ValueError(f"an array with {len(sides)} sides")
        name = parts.next().content.decode("latin-1")
        kind = flags & 0xFF
        if kind in CLASSES:
            values = self._array(parts.next(), sides, CLASSES[kind])
            if flags & COMPLEX:
                values = values + 1j * self._array(parts.next(), sides, CLASSES[kind])
            return name, values
        if kind == CHARACTERS:
            part = parts.next()
            return name, np.array(part.content.decode(self._encoding(part.kind), errors="replace"))
        if kind == CELL:
            return name, self._cells(parts, sides, ["cell"], depth)["cell"]
        return name, self._structure(parts, sides, depth) if kind == STRUCTURE else None

    def _structure(self, parts: _Parts, sides: tuple[int, ...], depth: int) -> np.ndarray:
        (length,) = self._numbers(parts.next()).tolist()
        text = parts.next().content
        if length < 1:
            raise ValueError("fields without names")
        names = [text[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(text), length)]
        return self._cells(parts, sides, names, depth)

    def _cells(self, parts: _Parts, sides: tuple[int, ...], names: list[str], depth: int) -> np.ndarray:
        """[sides] with a field of objects for each name; each object takes 8 bytes of the file at least."""
        if not names:
            return np.zeros((0, 0))
        if math.prod(sides) * len(names) * 8 > parts.left():
            raise ValueError("it is cut off")
        cells = np.empty(math.prod(sides), [(name, object) for name in names])
        for place in range(len(cells)):
            for name in names:
                part = parts.next()
                if part.kind != MATRIX:
                    raise ValueError("a field that is no array")
                cells[name][place] = self.matrix(part.content, depth + 1)[1]
        return cells.reshape(sides, order="F")

    def _numbers(self, part: _Part) -> np.ndarray:
        kind = np.dtype(self.order + NUMBERS[part.kind])
        if len(part.content) % kind.itemsize:
            raise ValueError("it is cut off")
        return np.frombuffer(part.content, kind)

    def _array(self, part: _Part, sides: tuple[int, ...], kind: str) -> np.ndarray:
        """[sides] numbers of a kind, which a file may hold as a smaller one."""
        values = self._numbers(part)
        if len(values) != math.prod(sides):
            raise ValueError(f"{len(values)} numbers for an array of the shape {list(sides)}")
        return values.astype(kind).reshape(sides, order="F")

    def _encoding(self, kind: int) -> str:
        name = TEXT[kind]
        ends = {"<": "-le", ">": "-be"}[self.order]
        return name + ends if name in ("utf-16", "utf-32") else name
