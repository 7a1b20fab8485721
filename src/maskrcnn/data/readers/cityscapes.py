"""Cityscapes as it lies on disk after unpacking (https://www.cityscapes-dataset.com): images in `leftImg8bit`, label
maps of their objects in `gtFine`.

A pixel of an `*_gtFine_instanceIds.png` file is label * 1000 + number where it belongs to one object, and below 1000
the label itself: stuff, what is ignored, or a group of objects that were not separated (`labels.py` of
https://github.com/mcordts/cityscapesScripts).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...structures.regions import LabelMap, Region
from ..dataset import Contents
from ..images import image_size, read_pixels
from .contents import Format, require_partners

SPLITS = ("train", "val", "test")
LAYOUT = (
    "leftImg8bit/{train,val,test}/CITY/*_leftImg8bit.png (leftImg8bit_trainvaltest.zip), "
    "gtFine/{train,val,test}/CITY/*_gtFine_instanceIds.png (gtFine_trainvaltest.zip)"
)
IDS = "_gtFine_instanceIds.png"
IMAGE = "_leftImg8bit.png"
LABELS = dict(
    enumerate(
        (
            *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road"),
            *("sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel"),
            *("pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider"),
            *("car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
        )
    )
)
"""Names by the official label id, which stands in annotations and results alike (not the train id)."""

THINGS = (24, 25, 26, 27, 28, 31, 32, 33)
STUFF = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23)
IGNORED = tuple(label for label in LABELS if label not in THINGS + STUFF)
"""Labels that no evaluation counts; caravans and trailers are among them."""

FIRST_OBJECT = 1000
"""The lowest value of a pixel of a single object."""

VALUES = FIRST_OBJECT * len(LABELS)
"""Above every value that a map holds."""


class CityImage(NamedTuple):
    """An image of a split.

    Args:
        name: "city_sequence_frame", the official name of it.
        file_name: Of the image, below `leftImg8bit/<split>`.
        ids: Its label map; None: not looked for.
    """

    name: str
    file_name: str
    ids: Path | None


def has_cityscapes(folder: Path, split: str) -> bool:
    """Whether a folder holds a split of Cityscapes in its official layout."""
    return any((folder / part / split).is_dir() for part in ("gtFine", "leftImg8bit"))


def find_cityscapes(folder: Path, split: str) -> list[CityImage]:
    """The images of a split in the order of their names; of `test`, whose label maps are blank, without these.

    No image needs to be there, unless it is of `test`.

    Args:
        folder: Holds `leftImg8bit` and `gtFine`.
        split: "train", "val" or "test".

    Raises:
        DataError: The files are not there, or label maps of some images are missing.
    """
    labeled = {_name(path, IDS): path for path in sorted((folder / "gtFine" / split).glob(f"*/*{IDS}"))}
    images = {_name(path, IMAGE): path for path in sorted((folder / "leftImg8bit" / split).glob(f"*/*{IMAGE}"))}
    hidden = split == "test"
    if not (images if hidden else labeled):
        place = folder / "leftImg8bit" / split if hidden else folder / "gtFine" / split
        raise DataError(
            f"{place}: no files of Cityscapes' {split} are there. Unpack it into {folder}, so that it holds {LAYOUT}."
        )
    if hidden:
        return [CityImage(name, f"{path.parent.name}/{path.name}", None) for name, path in sorted(images.items())]
    remedy = "Unpack gtFine_trainvaltest.zip again, or take these images out of leftImg8bit."
    require_partners(folder / "gtFine" / split, images, labeled, "label map", remedy)
    return [CityImage(name, f"{path.parent.name}/{name}{IMAGE}", path) for name, path in sorted(labeled.items())]


def read_cityscapes(folder: Path, split: str, images: Path | None = None) -> Contents:
    """The eight kinds of things of a split, with their official label ids as category ids.

    Groups of things that were not separated are crowds. Caravans and trailers are left out, as in the evaluation.
    Records of images have their official name as `name`.

    Args:
        folder, split: As for `find_cityscapes`.
        images: Folder of the images, if it is not `leftImg8bit/<split>`.

    Raises:
        DataError: A file is missing or broken.
    """
    found = find_cityscapes(folder, split)
    return gather_cityscapes(folder, split, found, read_label_maps(found), images)


def read_label_maps(found: Sequence[CityImage]) -> list[LabelMap | None]:
    """The label map of each image, None of those without; each file is decoded once.

    Raises:
        DataError: A file is broken.
    """
    with ThreadPoolExecutor() as readers:
        return list(readers.map(lambda one: None if one.ids is None else read_instance_ids(one.ids), found))


def gather_cityscapes(
    folder: Path, split: str, found: Sequence[CityImage], maps: Sequence[LabelMap | None], images: Path | None = None
) -> Contents:
    """What `read_cityscapes` gives, from images and their label maps.

    Raises:
        DataError: An image without a label map cannot be read.
    """
    root = images or folder / "leftImg8bit" / split
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (image, values) in enumerate(zip(found, maps, strict=True), start=1):
        height, width = image_size(root / image.file_name) if values is None else values.size
        shape = {"height": height, "width": width}
        entries.append({"id": number, "file_name": image.file_name, **shape, "name": image.name})
        for one in () if values is None else list_objects(values):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **one})
    categories = [{"id": label, "name": LABELS[label]} for label in THINGS]
    coco = {"images": entries, "categories": categories, "annotations": annotations}
    return Contents(folder / "gtFine" / split, root, coco)


def list_objects(values: LabelMap) -> list[dict[str, Any]]:
    """The things of a label map as COCO has objects: category_id, bbox, area, iscrowd and segmentation."""
    return [
        {
            "category_id": label_of(region.value),
            "bbox": list(region.box),
            "area": region.area,
            "iscrowd": int(is_group(region)),
            "segmentation": region.rle(),
        }
        for region in values.regions()
        if label_of(region.value) in THINGS
    ]


def to_segments(values: LabelMap) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A map in COCO's panoptic format, as the official `createPanopticImgs.py` makes it, with label ids.

    Returns:
        [h, w] uint16 segment ids, 0 where the label is ignored; and the `segments_info`: id, category_id, area, bbox
        and iscrowd of each segment.
    """
    ignored = np.isin([label_of(value) for value in values.values.tolist()], IGNORED)
    ids = values._replace(values=np.where(ignored, 0, values.values).astype(np.uint16)).decode()
    return ids, [
        {
            "id": region.value,
            "category_id": label_of(region.value),
            "area": region.area,
            "bbox": list(region.box),
            "iscrowd": int(is_group(region)),
        }
        for region in values.regions()
        if label_of(region.value) not in IGNORED
    ]


def label_of(value: int) -> int:
    """Label id of a pixel's value."""
    return value // FIRST_OBJECT if value >= FIRST_OBJECT else value


def is_group(region: Region) -> bool:
    """Whether a region is several things that were not separated."""
    return region.value < FIRST_OBJECT and region.value in THINGS


def read_instance_ids(path: Path) -> LabelMap:
    """The label map of an instanceIds file.

    Raises:
        DataError: It cannot be read, is a color image, or holds a value that is no label's.
    """
    values = read_pixels(path)
    if values.ndim != 2 or values.dtype.kind not in "ui":
        raise DataError(
            f"{path}: the label map has the shape {list(values.shape)} and numbers of type {values.dtype}, but an "
            "instanceIds file is gray with 16 bits. Take the official file."
        )
    if values.size and not 0 <= (highest := int(values.max())) < VALUES:
        raise DataError(
            f"{path}: holds the value {highest}, which is no label's: labels are 0 to {len(LABELS) - 1}, and objects "
            f"label * 1000 + number. Take the official file."
        )
    return LabelMap.encode(values.astype(np.uint16))


def _name(path: Path, ending: str) -> str:
    return path.name.removesuffix(ending)


FORMAT = Format("cityscapes", "Cityscapes", LAYOUT, has_cityscapes, read_cityscapes)
