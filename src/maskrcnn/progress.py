"""Progress of what may take long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PATIENCE = 2.0


class ImageBar:
    """Counts images on a terminal, and appears only if that takes more than two seconds; nothing of it stays.

    Args:
        words: What is being done.
        images: How many there are.
        console: Where to draw; None: standard error.
    """

    def __init__(self, words: str, images: int, console: Console | None = None) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        console = console or Console(stderr=True)
        self._bar = Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(words, total=images)
        self._begin = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._bar.disable:  # rich before 14.3 ends one that it never drew with a blank line
            self._bar.stop()

    def advance(self, images: int) -> None:
        """So many more images are done."""
        self._bar.advance(self._task, images)
        if time.monotonic() - self._begin > PATIENCE:
            self._bar.start()


@contextmanager
def waiting(words: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Say what is being done, and for how long, if that takes more than two seconds; nothing of it stays.

    The block gets a function that names the step it is at.

    For work whose steps cannot be counted, such as reading a dataset of unknown size.

    Args:
        words: What is being done.
        console: Where to draw; None: standard error.
    """
    console = console or Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    line = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = line.add_task(words, total=None)
    timer = threading.Timer(PATIENCE, line.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda step: line.update(task, description=f"{words}: {step}")
    finally:
        timer.cancel()
        timer.join()
        if not line.disable:
            line.stop()


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things in words: `1 image`, `2 images`, `1,200 boxes`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


@contextmanager
def announce(words: str, images: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of the library's work: a bar, or the time where the number of steps is not known."""
    if images:
        with ImageBar(words, images) as bar:
            yield bar.advance
    else:
        with waiting(words):
            yield lambda done: None


Announce = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Called with what is done and of how many steps (0: not known); gives what is called with each number of steps."""


@contextmanager
def silently(words: str, steps: int) -> Iterator[Callable[[int], None]]:
    """An `Announce` that says nothing."""
    yield lambda done: None
