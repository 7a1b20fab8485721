"""JSON, read and written in one way."""

import json
from pathlib import Path
from typing import Any

from ..errors import DataError
from .atomic import replacing

REMEDY = "Copy or write the file again."


def read_json(path: Path | str, *, kind: str = "a JSON file", remedy: str = REMEDY) -> Any:
    """What a JSON file holds.

    Args:
        path: The file, in UTF-8 (with or without a byte order mark), UTF-16 or UTF-32.
        kind: What it should be, for messages.
        remedy: The sentence that ends messages.

    Raises:
        DataError: It is missing, cut off, nested too deeply, or no JSON.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read as {kind} ({error.strerror}). Check the path.") from error
    return parse_json(content, str(path), kind=kind, remedy=remedy)


def parse_json(text: str | bytes, source: str, *, kind: str = "a JSON file", remedy: str = REMEDY) -> Any:
    """What JSON text holds.

    Args:
        text: The text.
        source: Where it stands, for messages.
        kind, remedy: As for `read_json`.

    Raises:
        DataError: It is cut off, nested too deeply, or no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(
            f"{source}: is not valid JSON at {where}: {error.msg}. It is probably cut off. {remedy}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not text, so it cannot be {kind} ({error}). {remedy}") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{source}: cannot be read as {kind} ({error}). {remedy}") from error
    except RecursionError as error:
        raise DataError(f"{source}: is nested too deeply to be {kind}. {remedy}") from error


def write_json(path: Path | str, content: Any, *, indent: int | None = None) -> None:
    """Write a JSON file, whole or not at all; missing folders are made.

    Args:
        path: The file.
        content: What `json` can write; numbers must be finite, for JSON has no others.
        indent: Spaces for each level; None: everything in one line without spaces.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    separators = (",", ":") if indent is None else None
    with replacing(path) as temporary:
        text = json.dumps(content, indent=indent, separators=separators, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
