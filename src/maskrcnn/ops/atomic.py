"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
