"""How work that takes long says how far it is, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Announce = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Called with what is done and of how many steps (0: not known); gives what is called with each number of steps."""


@contextmanager
def silently(words: str, steps: int) -> Iterator[Callable[[int], None]]:
    """An `Announce` that says nothing."""
    yield lambda done: None
