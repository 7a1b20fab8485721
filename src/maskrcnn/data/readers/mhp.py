"""Multi-Human Parsing v2 as it lies on disk after unpacking (Zhao et al. 2018, https://lv-mhp.github.io): a map of
parts for each person, of which the person's mask is the union."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...structures.regions import LabelMap
from ..dataset import Contents
from ..images import image_size, read_pixels
from .contents import ContentsBuilder, Format, read_text

SPLITS = ("val", "train", "test_all", "test_inter_top20", "test_inter_top10")
"""Lists of images; those of `test` share one folder."""
LAYOUT = (
    "list/{train,val,test_all,...}.txt, {train,val,test}/images/NAME.jpg, {train,val,test}/parsing_annos/NAME_nn_kk.png"
)
FOLDERS = ("parsing_annos", "annotations")
"""Of the maps of parts, in the distribution and in the official loader."""
SUFFIX = len("_nn_kk.png")
"""Behind the image's name: how many people it has, and which of them this is."""


def has_mhp(path: Path, split: str) -> bool:
    """Whether a folder holds a split; "test" is `test_all`."""
    return (path / "list" / f"{_list_name(split)}.txt").is_file()


class MhpSplit(NamedTuple):
    """A split: its people as COCO has them, and the map of parts of each, by its annotation's `parts_file`."""

    contents: Contents
    parts: dict[str, LabelMap]


def read_mhp(path: Path, split: str, images: Path | None = None) -> Contents:
    """The contents of `gather_mhp`."""
    return gather_mhp(path, split, images).contents


def gather_mhp(path: Path, split: str, images: Path | None = None) -> MhpSplit:
    """The people of a split, one mask each. Annotations name their map of parts, below `path`, as `parts_file`.

    People without a pixel are left out, as the official evaluator does. A test split whose maps are not there, because
    they are not public, has no people.

    Args:
        path: The folder LV-MHP-v2.
        split: Of `SPLITS`, or "test" for `test_all`.
        images: Folder of the images, if it is not `images/` of the split.

    Raises:
        DataError: A file is missing or broken.
    """
    file = path / "list" / f"{_list_name(split)}.txt"
    if not file.is_file():
        raise DataError(f"{file}: MHP's list of {split} is not there. Unpack LV-MHP-v2, so that it holds {LAYOUT}.")
    names = [line.strip() for line in read_text(file, "a list of images").splitlines() if line.strip()]
    folder = path / split.partition("_")[0]
    maps = _list_maps(folder, required=not split.startswith("test"))
    root = images or folder / "images"
    built = ContentsBuilder(["person"], file, root)
    parts: dict[str, LabelMap] = {}
    with ThreadPoolExecutor() as pool:
        found = pool.map(_read_people, (maps.get(name, ()) for name in names))
        for name, people in zip(names, found, strict=True):
            size = people[0].size if people else image_size(root / f"{name}.jpg")
            image_id = built.add_image(root / f"{name}.jpg", size)
            for place, person in zip(maps.get(name, ()), people, strict=True):
                _check_size(place, person.size, size)
                mask, file_name = _mask_of(person), str(place.relative_to(path))
                if mask:
                    built.add_object(image_id, "person", **mask, parts_file=file_name)
                    parts[file_name] = person
    return MhpSplit(built.contents(), parts)


def read_parts(file: Path) -> LabelMap:
    """A person's map, uint8: 0 background, 1 to 58 parts. Of its three equal channels the first is taken.

    Raises:
        DataError: The file is missing or no image.
    """
    values = read_pixels(file)
    return LabelMap.encode((values if values.ndim == 2 else values[:, :, 0]).astype(np.uint8))


def _list_name(split: str) -> str:
    return "test_all" if split == "test" else split


def _list_maps(folder: Path, *, required: bool) -> dict[str, list[Path]]:
    """The maps of each image, in the order of their names."""
    place = next((folder / name for name in FOLDERS if (folder / name).is_dir()), None)
    if place is None and required:
        raise DataError(
            f"{folder / FOLDERS[0]}: MHP's maps of parts are not there. Unpack LV-MHP-v2, so that it holds {LAYOUT}."
        )
    maps: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(place.glob("*.png")) if place else ():
        maps[file.name[:-SUFFIX]].append(file)
    return maps


def _read_people(files: Sequence[Path]) -> list[LabelMap]:
    return [read_parts(file) for file in files]


def _mask_of(person: LabelMap) -> dict[str, Any]:
    """What an annotation says of a person; nothing if it has no pixel."""
    for region in LabelMap.encode(person.decode() > 0).regions():
        if region.value:
            return {"bbox": list(region.box), "area": region.area, "segmentation": region.rle()}
    return {}


def _check_size(file: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    if size != expected:
        raise DataError(
            f"{file}: is {size[1]} x {size[0]} px, but the first map of its image {expected[1]} x {expected[0]}; all "
            "must have the image's size. Unpack LV-MHP-v2 again."
        )


FORMAT = Format("mhp", "Multi-Human Parsing v2", "list/val.txt, val/images/, val/parsing_annos/", has_mhp, read_mhp)
