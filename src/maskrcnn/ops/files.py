"""Files written whole or not at all, and JSON, read and written in one way."""

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError

REMEDY = "Copy or write the file again."


def require_regular(path: Path | str) -> None:
    """Refuse a device or a pipe, which may be read without end, and a folder. What is not there passes.

    Raises:
        DataError: It is one of these.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise DataError(f"{path}: this is {kind}, but a file is needed here. Give a file.")


def read_json(path: Path | str, *, expected: str = "a JSON file", remedy: str = REMEDY) -> Any:
    """What a JSON file holds.

    Args:
        path: The file, in UTF-8 (with or without a byte order mark), UTF-16 or UTF-32.
        expected: What it should be, for messages.
        remedy: The sentence that ends messages.

    Raises:
        DataError: It is missing, cut off, nested too deeply, or no JSON.
    """
    require_regular(path)
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read as {expected} ({reason}). Check the path.") from error
    return parse_json(content, str(path), expected=expected, remedy=remedy)


def parse_json(text: str | bytes, source: str, *, expected: str = "a JSON file", remedy: str = REMEDY) -> Any:
    """What JSON text holds.

    Args:
        text: The text.
        source: Where it stands, for messages.
        expected, remedy: As for `read_json`.

    Raises:
        DataError: It is cut off, nested too deeply, or no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        cut = " It is probably cut off." if error.pos else ""
        raise DataError(f"{source}: is not valid JSON at {where}: {error.msg}.{cut} {remedy}") from error
    except UnicodeDecodeError as error:
        known = f"is in {encoding}, it seems. Save it as UTF-8." if (encoding := _encoding(text)) else ""
        problem = known or f"is not text, so it cannot be {expected} ({error}). {remedy}"
        raise DataError(f"{source}: {problem}") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{source}: cannot be read as {expected} ({error}). {remedy}") from error
    except RecursionError as error:
        raise DataError(f"{source}: is nested too deeply to be {expected}. {remedy}") from error


def _encoding(content: str | bytes) -> str | None:
    """The old encoding in which this is JSON; None: in none of those that people still use."""
    for name, codec in (("GBK", "gb18030"), ("Shift JIS", "shift_jis"), ("Windows' Latin", "cp1252")):
        try:
            json.loads(content.decode(codec) if isinstance(content, bytes) else content)
        except (ValueError, RecursionError):
            continue
        return name
    return None


def write_json(path: Path | str, content: Any, *, indent: int | None = None) -> None:
    """Write a JSON file, whole or not at all; missing folders are made.

    Args:
        path: The file.
        content: What `json` can write; numbers must be finite, for JSON has no others.
        indent: Spaces for each level; None: everything in one line without spaces.
    """
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(content, indent=indent, separators=separators, allow_nan=False) + "\n")


def finite_json(content: Any) -> Any:
    """What a JSON file may hold: numbers that are NaN or infinite are null. What has none is returned as it is."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return _changed(content, ((name, finite_json(one)) for name, one in content.items()))
    if isinstance(content, list):
        made = [finite_json(one) for one in content]
        return made if any(new is not old for new, old in zip(made, content, strict=True)) else content
    return content


def _changed(content: dict[str, Any], pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if any(made[name] is not old for name, old in content.items()) else content


def write_text(path: Path | str, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    The bytes are on the disk before the rename, so that a crash or a full disk at any moment leaves either the old
    file or the new one. After an error the temporary file is gone and the old file untouched.

    Args:
        path: The file to write; its folder exists.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        _flush_to_disk(path.parent)


def remove_partial_files(folder: Path) -> None:
    """Delete what a writer that was killed inside `replacing` has left in a folder."""
    for leftover in folder.glob(".*.partial"):
        leftover.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    # Windows flushes only files that are open for writing, Linux opens a folder only for reading.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
