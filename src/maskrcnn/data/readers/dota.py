"""DOTA (https://captain-whu.github.io/DOTA): a text file of turned rectangles in `labelTxt/` for each image.

A line has the 4 corners x y in pixels, the class, and whether the object is difficult, which makes it a crowd, as in
Pascal VOC. Lines before the first with 8 numbers (`imagesource:`, `gsd:`) are no objects. The classes are those of all
splits, sorted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..dataset import Contents
from .coco_folders import SPLITS, split_names
from .contents import Format, read_text
from .drawn_images import DrawnImage, DrawnObject, Size, gather, used_labels, with_ending

LABELS = ("labelTxt", "labelTxt-v1.0", "labelTxt-v1.5")
NUMBERS = 8


def is_dota(path: Path, split: str) -> bool:
    """Whether a folder holds `labelTxt/` of a split."""
    return bool(_files(path, split))


def read_dota(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of DOTA, or of a dataset in its format.

    Args:
        path: The folder with `train/`, `val/`, or with `images/` and `labelTxt/`.
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images; None: `images/` beside `labelTxt/`.

    Raises:
        DataError: Naming the file, the line, the value, the rule and the remedy.
    """
    files = _files(path, split)
    if not files:
        raise DataError(f"{path}: holds no `labelTxt/` of DOTA for the split `{split}`. Check the folder.")
    near = files[0].parent
    places = [images] if images else [near.parent / "images", near.parent.parent / "images" / near.name, near.parent]
    own = [_load(file, places) for file in files]
    others = [_load(file, places) for other in SPLITS if other != split for file in _files(path, other)]
    return gather(path, own, used_labels([*own, *others], path), places)


def _files(path: Path, split: str) -> list[Path]:
    if not path.is_dir():
        return []
    places = [
        place for name in split_names(split) for one in LABELS for place in (path / name / one, path / one / name)
    ]
    places += [path / one for one in LABELS] if split == "train" else []
    return next((found for place in places if (found := sorted(place.glob("*.txt")))), [])


def _load(file: Path, folders: list[Path]) -> DrawnImage:
    lines = enumerate(read_text(file, "labels of DOTA").splitlines(), start=1)
    words = [(number, line.split()) for number, line in lines if line.strip()]
    drawn = [
        DrawnObject(known[NUMBERS], partial(_fields, known[:NUMBERS], number), known[NUMBERS + 1 :] == ["1"])
        for number, known in words
        if len(known) > NUMBERS
    ]
    return DrawnImage(str(file), with_ending(file.stem, folders), None, drawn)


def _fields(words: list[str], number: int, size: Size) -> dict[str, Any]:
    try:
        return {"segmentation": [[float(word) for word in words]]}
    except ValueError:
        raise ValueError(f"line {number} is {' '.join(words)!r:.60}, but must begin with 8 numbers") from None


FORMAT = Format("dota", "DOTA", "train/images/NAME.png and train/labelTxt/NAME.txt", is_dota, read_dota)
