"""Where a dataset in COCO's format keeps its annotation files and images."""

import mmap
import re
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ...ops.files import parse_json
from .contents import first_bytes, other_spelling

SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""The names each split goes by."""

CROWDPOSE = "json/crowdpose_{}.json"

IMAGES = re.compile(rb'"images"\s*:')
FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
CATEGORIES = re.compile(rb'"categories"\s*:\s*\[')
FEW = 20
"""JSON files of a folder that are looked into for the only one of COCO."""
BLANK = b"\xef\xbb\xbf \t\r\n"
LOOKED_FOR = 1000
"""Images of a file that are looked for to find their folder: the first of them may be missing."""


class CocoFiles(NamedTuple):
    """One split of a dataset.

    Args:
        annotations: Its JSON file.
        images: The folder its images' file names start from.
    """

    annotations: Path
    images: Path


def find_coco(data: Path, split: str = "train", *, images: Path | None = None) -> CocoFiles:
    """The annotation file and the images of one split.

    Args:
        data: The JSON file itself, or a dataset's folder in the layout of COCO (`annotations/instances_train2017.json`
            beside `train2017/` or `images/train2017/`), of Roboflow (`train/_annotations.coco.json` beside the
            images), of CrowdPose (`json/crowdpose_train.json`) or a plain one (`train.json` beside `images/`); or
            with one COCO file of any name, as Label Studio and CVAT export it.
        split: "train", "val" or "test", for a folder.
        images: Folder of the images, if it is known.

    Raises:
        DataError: Listing what was looked for.
    """
    if data.is_file():
        return CocoFiles(data, images or _image_folder(data, split_of(data)))
    if not data.is_dir():
        raise DataError(f"{data}: there is no such file or folder. Give a COCO JSON file, or the folder that holds it.")
    found = _files(data, split)
    if not found:
        raise DataError(
            f"{data}: no annotation file of the split `{split}` was found; looked for {', '.join(_patterns(split))}, "
            "or one JSON file alone. Name one of them so, or give the JSON file itself."
        )
    return CocoFiles(found[0], images or _image_folder(found[0], split))


def has_split(data: Path, split: str) -> bool:
    """Whether a folder holds an annotation file of a split ("train", "val" or "test")."""
    return data.is_dir() and bool(_files(data, split))


def canonical_split(name: str) -> str:
    """ "val" of "valid" and "validation"; other names are their own."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), name)


def split_names(split: str) -> tuple[str, ...]:
    """The names that files and folders of a split may have."""
    return SPLITS.get(split, (split,))


def split_of(annotations: Path) -> str:
    """The split a file or its folder is named after; "train" if after none."""
    words = [*re.split(r"[^a-z]+", annotations.stem.lower()), annotations.parent.name.lower()]
    return next((split for split, names in SPLITS.items() if any(name in words for name in names)), "train")


def _files(data: Path, split: str) -> list[Path]:
    """The annotation files of a split in a folder; where no name tells, the only COCO file is of its own split."""
    named = [path for pattern in _patterns(split) for path in sorted(data.glob(pattern))]
    if named or any(True for other in SPLITS for pattern in _patterns(other) for _ in data.glob(pattern)):
        return named
    there = [path for pattern in ("*.json", "annotations/*.json") for path in sorted(data.glob(pattern))]
    alone = [path for path in there if _is_coco(path)] if len(there) <= FEW else []
    return alone if len(alone) == 1 and split_of(alone[0]) == split else []


def _is_coco(path: Path) -> bool:
    """Whether a JSON file is an object with images and categories; it is not parsed."""
    if not first_bytes(path).lstrip(BLANK).startswith(b"{"):
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        return bool(IMAGES.search(contents) and CATEGORIES.search(contents))


def _patterns(split: str) -> list[str]:
    names = split_names(split)
    plain = [f"{folder}{name}.json" for folder in ("", "annotations/") for name in names]
    coco = [f"{folder}instances_{name}*.json" for folder in ("", "annotations/") for name in names]
    others = [form.format(name) for name in names for form in ("{}/_annotations.coco.json", CROWDPOSE)]
    return [*plain, *coco, *others]


def _image_folder(annotations: Path, split: str) -> Path:
    """The folder in which the first of the file's images lies that is there."""
    names = _file_names(annotations)
    beside = annotations.parent
    roots = [beside, *([beside.parent] if beside.name in ("annotations", "json") else [])]
    year = next(iter(re.findall(r"(?:19|20)\d\d", annotations.stem)), "")
    splits = [form for word in split_names(split) for form in (f"{word}{year}", word)]
    inside = [folder for word in splits for folder in (f"images/{word}", word)] + ["images", "."]
    folders = list(dict.fromkeys(root / folder for folder in inside for root in roots))
    if not names:
        return folders[0]
    for name in names:
        for folder in folders:
            if (folder / name).is_file():
                return folder
    for folder in folders:
        if other_spelling(folder, names[0]):
            return folder
    raise DataError(
        f"{annotations}: the folder of its images was not found; looked for {names[0]} in "
        f"{', '.join(str(folder) for folder in folders)}. Give the folder of the images (images=, --images)."
    )


def _file_names(annotations: Path) -> list[str]:
    """The first ones, found without parsing what may be hundreds of megabytes; none if the file names no image."""
    with annotations.open("rb") as file:
        if not annotations.stat().st_size:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
            images = IMAGES.search(contents)  # of panoptic files, annotations have file names too
            names: list[str] = []
            place = images.end() if images else 0
            while len(names) < LOOKED_FOR and (found := FILE_NAME.search(contents, place)):
                names.append(parse_json(found[1], f"{annotations}: `file_name`"))
                place = found.end()
            return names
