"""The formats of data sets: what a path holds is recognised, and read into the same records.

Each format is a reader in `data/readers` that says a folder or file in COCO's terms (`Contents`), and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, SettingError
from .readers.coco import parse_coco, to_data
from .readers.coco_folders import find_coco, has_split
from .records import CocoData, Contents


class Format(NamedTuple):
    """A format of data sets.

    Args:
        title: Its name for people.
        layout: The files that belong to it, one line.
        found: Whether a path holds a split of it, by names and the first bytes of a file only.
        read: Contents of a split (path, split, folder of the pictures or None).
    """

    title: str
    layout: str
    found: Callable[[Path, str], bool]
    read: Callable[[Path, str, Path | None], Contents]


def _read_coco(path: Path, split: str, images: Path | None) -> Contents:
    files = find_coco(path, split, images=images)
    return Contents(files.annotations, files.images, parse_coco(files.annotations))


def _is_coco(path: Path, split: str) -> bool:
    return path.suffix == ".json" if path.is_file() else has_split(path, split)


FORMATS: dict[str, Format] = {
    "coco": Format("COCO", "annotations/instances_val2017.json beside val2017/, or val.json", _is_coco, _read_coco),
}
"""By the name it has on the command line; the first that is found counts."""


def read_data(
    path: Path, split: str = "train", *, form: str | None = None, images: Path | None = None, skip_invalid: bool = False
) -> CocoData:
    """Read a data set of any of the formats.

    Args:
        path: Its folder or file.
        split: "train", "val" or "test", where the path holds several.
        form: Name of the format; None: recognised.
        images: Folder of the pictures, if it is not where the format has it.
        skip_invalid: Leave objects that cannot be used out, and list them in `skipped`, where one would be an error.

    Raises:
        DataError: Nothing known is there, or it cannot be used.
        SettingError: There is no such format.
    """
    name = recognise(path, split) if form is None else form
    if name not in FORMATS:
        raise SettingError(f"--format {name}: there is no such format. Known are {', '.join(FORMATS)}.")
    chosen = FORMATS[name]
    read = partial(chosen.read, path, split, images)
    contents = read()
    return to_data(contents, again=lambda: read().coco, skip_invalid=skip_invalid)


def recognise(path: Path, split: str = "train") -> str:
    """Name of the format a path holds.

    Raises:
        DataError: There is no such path, or none of the formats is found there.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder. Give a data set's folder or its annotation file.")
    for name, form in FORMATS.items():
        if form.found(path, split):
            return name
    known = "; ".join(f"{form.title} ({form.layout})" for form in FORMATS.values())
    raise DataError(
        f"{path}: no data set with a split `{split}` was recognised. Known are: {known}. Name the files so, name the "
        "format with --format, or give the annotation file itself."
    )
