"""The range of values of a dataset: one for all its images of more than 8 bits."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ..config import InputSettings
from ..errors import DataError
from ..progress import counted
from .deep_images import image_extent
from .loading import default_workers
from .value_range import Extent, Range, joined_extent, range_of

BYTES_ONLY = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".webp")
"""Endings of formats that never have more than 8 bits."""
PNG = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH = 24
"""Place of the bit depth in a PNG file."""


class DatasetRange(NamedTuple):
    """The range of a dataset.

    Args:
        value_range: The values that become black and white.
        extent: The values that are there.
        images: How many have more than 8 bits.
    """

    value_range: Range
    extent: Extent
    images: int

    @property
    def setting(self) -> str:
        """As a word for the command line."""
        return "input.range={:g},{:g}".format(*self.value_range)

    def __str__(self) -> str:
        values = f"values from {self.extent.low:g} to {self.extent.high:g}"
        missing = f"; {counted(self.extent.missing, 'value')} without data become 0" if self.extent.missing else ""
        return f"{counted(self.images, 'image')} of more than 8 bits, {values}: {self.setting} for all{missing}"


def join_extents(extents: Iterable[Extent | None]) -> DatasetRange | None:
    """The range of images of these extents; None where none has more than 8 bits, or any value."""
    deep = [one for one in extents if one is not None]
    together = joined_extent(deep)
    return None if together is None else DatasetRange(range_of(together), together, len(deep))


def find_dataset_range(
    paths: Iterable[Path], channels: int, *, on_progress: Callable[[int], None] = lambda images: None
) -> DatasetRange | None:
    """Read all images of more than 8 bits once; of the others only a few bytes. Broken ones do not count.

    Args:
        paths: The images.
        channels: That they are read with.
        on_progress: Called with 1 for each image that is done.
    """
    extents = []
    pool = ThreadPoolExecutor(default_workers() + 1)
    try:
        for extent in pool.map(lambda path: _extent(path, channels), paths):
            extents.append(extent)
            on_progress(1)
    finally:
        pool.shutdown(cancel_futures=True)
    return join_extents(extents)


def with_dataset_range(
    settings: InputSettings, paths: Iterable[Path], *, on_progress: Callable[[int], None] = lambda images: None
) -> tuple[InputSettings, DatasetRange | None]:
    """Settings with the range of these images, and what was found; unless a range is set, or all have 8 bits."""
    found = None
    if settings.range is None:
        found = find_dataset_range(paths, settings.channels, on_progress=on_progress)
    return (settings if found is None else settings.changed({"range": found.value_range})), found


def _extent(path: Path, channels: int) -> Extent | None:
    if path.suffix.lower() in BYTES_ONLY:
        return None
    try:
        with open(path, "rb") as file:
            start = file.read(PNG_DEPTH + 1)
        if start.startswith(PNG) and start[PNG_DEPTH:] <= b"\x08":
            return None
        return image_extent(path, channels)
    except (OSError, DataError):
        return None
