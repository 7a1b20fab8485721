"""What servers take: a zip file, which people also keep unpacked in a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import DataError
from ..ops.files import replacing

Place = Path | zipfile.Path
"""A folder or file on disk or in a zip file."""

NAMED = 3
"""How many missing files a message names."""


def find_in_archive(path: Path, names: Sequence[str], layout: str) -> Place:
    """The folder that holds one of some files, in a zip file or a folder: the outermost one or one in it.

    Args:
        path: The zip file or the folder.
        names: The files of which it should hold at least one.
        layout: All files it should hold, for the message.

    Raises:
        DataError: It is neither a zip file nor a folder, none of the files is in it, or some are in several folders.
    """
    if not path.is_dir() and not zipfile.is_zipfile(path):
        there = "is neither a zip file nor a folder" if path.exists() else "there is no such file or folder"
        raise DataError(f"{path}: {there}, but results of this benchmark are {layout}. Give these.")
    root = path if path.is_dir() else zipfile.Path(path)
    places = [root, *(inside for inside in root.iterdir() if inside.is_dir())]
    holding = [place for place in places if any((place / name).is_file() for name in names)]
    if not holding:
        raise DataError(
            f"{path}: holds no {' or '.join(names[:NAMED])}, but results of this benchmark are {layout}. Add it."
        )
    if len(holding) > 1:
        raise DataError(f"{path}: there are results in {holding[0]} and in {holding[1]}. Take one of them out.")
    return holding[0]


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip file, whole or not at all.

    Args:
        path: The file; folders on the way are made.
        members: Name and content of each file in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
