"""The images somebody means by files, folders and patterns, and reading them while the model is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from glob import glob, has_magic
from pathlib import Path

from torch import Tensor

from ..data.images import IMAGES, read_image
from ..errors import DataError


def find_images(inputs: Sequence[str], *, leave_out: Sequence[Path] = ()) -> list[Path]:
    """Image files in the order of the inputs, each once.

    Args:
        inputs: Files, folders (with all folders below them) or patterns such as `photos/*.jpg` and `photos/**/a*.png`.
            Hidden files in folders are not meant, nor those of other endings than `IMAGES`; a file named by itself
            may have any.
        leave_out: Folders whose images are not meant either, such as the one that earlier results were drawn into.

    Raises:
        DataError: An input is not there, or brings no image.
    """
    ours = {folder.resolve() for folder in leave_out}
    found: dict[Path, Path] = {}
    for words in inputs:
        paths = {path.resolve(): path for path in _named_by(words)}
        paths = {resolved: path for resolved, path in paths.items() if ours.isdisjoint(resolved.parents)}
        if not paths:
            raise DataError(
                f"{words}: no images were found there (files that end in {', '.join(IMAGES)}). Check the path, or "
                "name the files themselves if they end otherwise."
            )
        found |= {resolved: path for resolved, path in paths.items() if resolved not in found}
    return list(found.values())


def read_ahead(paths: Iterable[Path], *, count: int) -> Iterator[tuple[Path, Tensor | DataError]]:
    """Each image, or the error it gives, read in another thread up to `count` images before it is asked for."""
    waiting: deque[tuple[Path, Future[Tensor | DataError]]] = deque()
    with ThreadPoolExecutor(1) as reader:
        for path in paths:
            waiting.append((path, reader.submit(_image_or_error, path)))
            if len(waiting) > count:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()


def _named_by(words: str) -> list[Path]:
    path = Path(words)
    if path.is_dir():
        return [found for found in sorted(path.rglob("*")) if _is_image(found) and not _is_hidden(found, path)]
    if path.exists():
        return [path]
    if has_magic(words):
        return [found for found in map(Path, sorted(glob(words, recursive=True))) if _is_image(found)]
    raise DataError(f"{words}: there is no such file or folder. Check the path.")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and path.is_file()


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _image_or_error(path: Path) -> Tensor | DataError:
    try:
        return read_image(path)
    except DataError as error:
        return error
