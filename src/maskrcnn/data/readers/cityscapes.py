"""Cityscapes as it lies on disk after unpacking (https://www.cityscapes-dataset.com): pictures in `leftImg8bit`, label
maps of their objects in `gtFine`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ...errors import DataError
from ...structures.cityscapes import LABELS, THINGS, VALUES, is_group, label_of
from ...structures.regions import find_regions
from ..pictures import UNREADABLE, picture_size
from ..records import Contents
from .coco_pictures import NAMED
from .gathering import Format

SPLITS = ("train", "val", "test")
LAYOUT = (
    "leftImg8bit/{train,val,test}/CITY/*_leftImg8bit.png (leftImg8bit_trainvaltest.zip), "
    "gtFine/{train,val,test}/CITY/*_gtFine_instanceIds.png (gtFine_trainvaltest.zip)"
)
IDS = "_gtFine_instanceIds.png"
PICTURE = "_leftImg8bit.png"


class CityPicture(NamedTuple):
    """A picture of a split.

    Args:
        name: "city_sequence_frame", the official name of it.
        file_name: Of the picture, below `leftImg8bit/<split>`.
        ids: Its label map; None: not looked for.
    """

    name: str
    file_name: str
    ids: Path | None


def has_cityscapes(folder: Path, split: str) -> bool:
    """Whether a folder holds a split of Cityscapes in its official layout."""
    return any((folder / part / split).is_dir() for part in ("gtFine", "leftImg8bit"))


def find_cityscapes(folder: Path, split: str) -> list[CityPicture]:
    """The pictures of a split in the order of their names; of `test`, whose label maps are blank, without these.

    No picture needs to be there, unless it is of `test`.

    Args:
        folder: Holds `leftImg8bit` and `gtFine`.
        split: "train", "val" or "test".

    Raises:
        DataError: The files are not there, or label maps of some pictures are missing.
    """
    labelled = {_name(path, IDS): path for path in sorted((folder / "gtFine" / split).glob(f"*/*{IDS}"))}
    pictures = {_name(path, PICTURE): path for path in sorted((folder / "leftImg8bit" / split).glob(f"*/*{PICTURE}"))}
    hidden = split == "test"
    if not (pictures if hidden else labelled):
        wanted = folder / "leftImg8bit" / split if hidden else folder / "gtFine" / split
        raise DataError(
            f"{wanted}: no files of Cityscapes' {split} are there. Unpack it into {folder}, so that it holds {LAYOUT}."
        )
    if hidden:
        return [CityPicture(name, f"{path.parent.name}/{path.name}", None) for name, path in sorted(pictures.items())]
    missing = sorted(pictures.keys() - labelled.keys())
    if missing:
        raise DataError(
            f"{folder / 'gtFine' / split}: {len(missing)} of {len(pictures)} pictures in leftImg8bit have no label map:"
            f" {', '.join(name + IDS for name in missing[:NAMED])}{', ...' if len(missing) > NAMED else ''}. Unpack "
            "gtFine_trainvaltest.zip again, or take these pictures out."
        )
    return [CityPicture(name, f"{path.parent.name}/{name}{PICTURE}", path) for name, path in sorted(labelled.items())]


def read_cityscapes(folder: Path, split: str, images: Path | None = None) -> Contents:
    """The eight kinds of things of a split, with their official label ids as category ids.

    Groups of things that were not separated are crowds. Caravans and trailers are left out, as in the evaluation.
    Records of pictures have their official name as `name`.

    Args:
        folder, split: As for `find_cityscapes`.
        images: Folder of the pictures, if it is not `leftImg8bit/<split>`.

    Raises:
        DataError: A file is missing or broken.
    """
    found = find_cityscapes(folder, split)
    root = images or folder / "leftImg8bit" / split
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with ThreadPoolExecutor() as readers:
        read = readers.map(partial(_read_picture, root), found)
        for number, (picture, ((height, width), objects)) in enumerate(zip(found, read, strict=True), start=1):
            shape = {"height": height, "width": width}
            pictures.append({"id": number, "file_name": picture.file_name, **shape, "name": picture.name})
            for one in objects:
                annotations.append({"id": len(annotations) + 1, "image_id": number, **one})
    categories = [{"id": label, "name": LABELS[label]} for label in THINGS]
    coco = {"images": pictures, "categories": categories, "annotations": annotations}
    return Contents(folder / "gtFine" / split, root, coco)


def _read_picture(root: Path, picture: CityPicture) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """(height, width) and objects."""
    if picture.ids is None:
        return picture_size(root / picture.file_name), []
    values = read_instance_ids(picture.ids)
    return (values.shape[0], values.shape[1]), list_objects(values)


def list_objects(values: np.ndarray) -> list[dict[str, Any]]:
    """The things of a label map as COCO has objects: category_id, bbox, area, iscrowd and segmentation."""
    things = np.where(values >= THINGS[0], values, 0)
    return [
        {
            "category_id": label_of(region.value),
            "bbox": list(region.box),
            "area": region.area,
            "iscrowd": int(is_group(region)),
            "segmentation": region.run_lengths(),
        }
        for region in find_regions(things)
        if label_of(region.value) in THINGS
    ]


def read_instance_ids(path: Path) -> np.ndarray:
    """[h, w] uint16 of an instanceIds file.

    Raises:
        DataError: It cannot be read, is a colour picture, or holds a value that is no label's.
    """
    try:
        with Image.open(path) as picture:
            values = np.array(picture)
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: the label map cannot be read ({error}). Copy or unpack it again.") from error
    if values.ndim != 2 or values.dtype.kind not in "ui":
        raise DataError(
            f"{path}: the label map has the shape {list(values.shape)} and numbers of type {values.dtype}, but an "
            "instanceIds file is grey with 16 bits. Take the official file."
        )
    if values.size and not 0 <= (highest := int(values.max())) < VALUES:
        raise DataError(
            f"{path}: holds the value {highest}, which is no label's: labels are 0 to {len(LABELS) - 1}, and objects "
            f"label * 1000 + number. Take the official file."
        )
    return values.astype(np.uint16)


def _name(path: Path, ending: str) -> str:
    return path.name.removesuffix(ending)


FORMAT = Format("cityscapes", "Cityscapes", LAYOUT, has_cityscapes, read_cityscapes)
