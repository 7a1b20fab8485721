"""What the verbs print: results on standard output, everything else beside them."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from ..errors import SettingError

INTERRUPTED = 130
"""Exit code of work that was stopped before its end, as shells have it after Ctrl-C."""
PIPE_WIDTH = 200
"""Columns where the output is no terminal, so that nothing is cut."""


def show(*results: RenderableType) -> None:
    """Print results, which other programs may read."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    for result in results:
        console.print(result, highlight=False, markup=False, soft_wrap=isinstance(result, str | Text))


def say(text: str | Text) -> None:
    """Tell people what they should know, beside the results."""
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def require_place(path: Path | None, *, folder: bool = False) -> None:
    """Say that a file, or a folder's files, cannot be written before the long work, not after it."""
    if path is None:
        return
    above = next(parent for parent in path.absolute().parents if parent.exists())
    taken = path.is_dir() if not folder else path.is_file()
    if taken or not above.is_dir() or not os.access(above, os.W_OK):
        needed = "a folder" if folder else "a file"
        wrong = f"this is {'a file' if folder else 'a folder'}" if taken else f"{above} cannot be written to"
        raise SettingError(f"{path}: {wrong}, but {needed} is to be written there. Give another path.")
