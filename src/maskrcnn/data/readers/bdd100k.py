"""BDD100K instance segmentation (Yu et al. 2020, https://doc.bdd100k.com): RLE, bitmasks or polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError
from ...structures.regions import Region, find_regions
from ..dataset import Contents
from ..images import read_pixels
from .contents import ContentsBuilder, Format
from .scalabel import Size, Taxonomy, frames_contents, load_frames

SIZE: Size = (720, 1280)
CLASSES = Taxonomy(
    ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
    {"bike": "bicycle", "caravan": "car", "motor": "motorcycle", "person": "pedestrian", "van": "car"},
    {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"},
)
"""As in bdd100k's own `configs/ins_seg.toml`."""
LAYOUT = (
    "labels/ins_seg/rles/ins_seg_val.json (or labels/ins_seg/bitmasks/val/*.png, or "
    "labels/ins_seg/polygons/ins_seg_val.json), images/10k/val/*.jpg"
)
IGNORED, CROWD = 1, 2
"""Bits of a bitmask's second channel."""


def has_bdd100k(path: Path, split: str) -> bool:
    """Whether a folder holds a split's instances."""
    return find_labels(path, split) is not None


def find_labels(folder: Path, split: str) -> Path | None:
    """Labels of a split: its file of RLE, or else the folder of bitmasks, or else the file of polygons."""
    inside = folder / "labels" / "ins_seg"
    file, bitmasks = inside / "rles" / f"ins_seg_{split}.json", inside / "bitmasks" / split
    polygons = inside / "polygons" / f"ins_seg_{split}.json"
    if file.is_file():
        return file
    if next(bitmasks.glob("*.png"), None) is not None:
        return bitmasks
    return polygons if polygons.is_file() else None


def read_bdd100k(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split's instances; annotations keep the attributes `crowd` and `ignored`.

    Args:
        path: The folder with `labels/` and `images/`.
        split: "train" or "val".
        images: Folder of the images; None: `images/10k/` and the split's name.

    Raises:
        DataError: Labels are missing or cannot be used.
    """
    labels, folder = find_labels(path, split), images or path / "images" / "10k" / split
    if labels is None:
        raise DataError(
            f"{path / 'labels' / 'ins_seg'}: the instances of BDD100K's {split} are not there. Unpack BDD100K into "
            f"{path}, so that it holds {LAYOUT}."
        )
    if labels.is_dir():
        return _read_bitmasks(labels, folder)
    frames, _ = load_frames(labels)
    return frames_contents(labels, frames, CLASSES, folder, size=SIZE)


def _read_bitmasks(folder: Path, images: Path) -> Contents:
    found = ContentsBuilder(CLASSES.names, folder, images)
    for file in sorted(folder.glob("*.png")):
        codes = read_bitmask(file)
        image_id = found.add_image(images / f"{file.stem}.jpg", codes.shape)
        seen: set[int] = set()
        for region in find_regions(codes):
            number, category = region.value & 0xFFFF, region.value >> 24 & 0xFF
            if number:
                _check(file, region, seen)
                attributes = {"crowd": bool(region.value >> 16 & CROWD), "ignored": bool(region.value >> 16 & IGNORED)}
                found.add_object(
                    image_id,
                    CLASSES.names[category - 1],
                    crowd=any(attributes.values()),
                    attributes=attributes,
                    segmentation=region.rle(),
                )
                seen.add(number)
    return found.contents()


def _check(file: Path, region: Region, seen: set[int]) -> None:
    number, category = region.value & 0xFFFF, region.value >> 24 & 0xFF
    if not 1 <= category <= len(CLASSES.names):
        rule = f"must be a category from 1 to {len(CLASSES.names)}"
        raise DataError(f"{file}: instance {number}: its first channel is {category}, but {rule}. Write it again.")
    if number in seen:
        raise DataError(
            f"{file}: instance {number}: its pixels have several categories or attributes (first and second channel), "
            "but must have one. Write it again."
        )


def read_bitmask(file: Path) -> np.ndarray:
    """[h, w] int32 codes of a bitmask's pixels: category << 24 | attributes << 16 | number of the instance.

    Raises:
        DataError: It cannot be read, or has not four channels.
    """
    image = read_pixels(file)
    if image.ndim != 3 or image.shape[2] != 4:
        raise DataError(f"{file}: must be a PNG file with four channels of 8 bits. Copy or write it again.")
    red, green, blue, alpha = (image[..., channel].astype(np.int32) for channel in range(4))
    return red << 24 | green << 16 | blue << 8 | alpha


FORMAT = Format("bdd100k", "BDD100K instance segmentation", LAYOUT, has_bdd100k, read_bdd100k)
