"""What the verbs print: results on standard output, everything else beside them."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console, RenderableType

from ..errors import SettingError


def show(results: RenderableType) -> None:
    """Print results, which other programs may read."""
    Console().print(results)


def say(text: str) -> None:
    """Tell people what they should know, beside the results."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def require_place(path: Path | None, *, folder: bool = False) -> None:
    """Say that a file, or a folder's files, cannot be written before the long work, not after it."""
    if path is None:
        return
    above = next(parent for parent in path.absolute().parents if parent.exists())
    taken = path.is_dir() and not folder
    if taken or not above.is_dir() or not os.access(above, os.W_OK):
        wrong = "this is a folder" if taken else f"{above} cannot be written to"
        raise SettingError(f"{path}: {wrong}, but a file is to be written there. Give another path.")
