"""Where formats with one file of annotations per split keep it, and with one file per image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .coco_folders import SPLITS, split_names, split_of

FEW = 20
"""Files of a folder that are looked into for the only one of a format."""
TRIED = 5
"""Files of a folder that are looked into before it is taken for another format's."""
INSIDE = ("", "annotations", "labels", "ann", "images")
"""Folders in which the files may lie, inside of the dataset or of a split."""

IsFile = Callable[[Path], bool]


def find_split_file(path: Path, split: str, ending: str, is_file: IsFile) -> Path | None:
    """The file of a split: one that is named after it, or the only one of its format in the folder.

    Args:
        path: The file itself, or a folder.
        split: "train", "val" or "test"; a file is any.
        ending: Of the file's name, such as ".json".
        is_file: Whether a file is of the format, by its first bytes.
    """
    if path.is_file():
        return path if path.suffix.lower() == ending and is_file(path) else None
    folders = [path / inside for inside in INSIDE] + [path / name for name in split_names(split)]
    there = [file for folder in folders for file in sorted(folder.glob(f"*{ending}"))]
    known = [file for file in there if is_file(file)] if len(there) <= FEW else []
    named = [file for file in known if _names_split(file) and split_of(file) == split]
    if named:
        return named[0]
    return known[0] if len(known) == 1 and split_of(known[0]) == split else None


def split_files(folder: Path, ending: str, is_file: IsFile) -> list[Path]:
    """The files of all splits, each once."""
    found = [find_split_file(folder, split, ending, is_file) for split in SPLITS]
    return list(dict.fromkeys(file for file in found if file is not None))


def image_files(path: Path, split: str, ending: str, is_file: IsFile) -> list[Path]:
    """The files of annotations, one per image, of a split, from the first folder that has some."""
    if path.is_file():
        return [path] if path.name.lower().endswith(ending) and is_file(path) else []
    places = [path / inside / name for name in split_names(split) for inside in INSIDE]
    places += [path / name / inside for name in split_names(split) for inside in INSIDE]
    if split == "train":
        places += [path / inside for inside in INSIDE]
    for place in places:
        found = sorted(place.glob(f"*{ending}"))
        if any(map(is_file, found[:TRIED])):
            return found
    return []


def all_image_files(path: Path, ending: str, is_file: IsFile) -> list[Path]:
    """The files of annotations, one per image, of all splits."""
    return sorted({file for split in SPLITS for file in image_files(path, split, ending, is_file)})


def _names_split(file: Path) -> bool:
    words = f"{file.parent.name} {file.stem}".lower()
    return any(name in words for names in SPLITS.values() for name in names)
