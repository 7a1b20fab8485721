"""Maps of classes: each value of an image's map is a class, and its parts that hang together are the objects.

They lie as label maps do, and are told apart by their values: of a map of objects each value is one part, of a map of
classes a few values come back in many parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...errors import DataError
from ..dataset import Contents
from .contents import Format
from .label_maps import PLAIN, TOUCHING, read_label_map
from .mask_images import CLASSES, find_label_maps, gather_label_maps, has_label_maps, read_value_names

LOOKED_AT = 8
"""Maps of a dataset, from all over it, by which it is recognized."""
MOST_CLASSES = 64
LEAST_PART = 0.01
"""A part counts that has this share of the largest part of its value."""


def are_classes(maps: Sequence[np.ndarray]) -> bool:
    """Whether values of some maps [H, W] are classes, not objects: they are few, and most come in several parts."""
    values = sorted({int(value) for each in maps for value in np.unique(each)} - {0, PLAIN})
    if not values or len(values) > MOST_CLASSES or values[-1] > PLAIN:
        return False
    parts = [_count_parts(each == value) for each in maps for value in values if (each == value).any()]
    return sum(count > 1 for count in parts) > len(parts) / 2


def has_class_maps(path: Path, split: str) -> bool:
    """Whether a folder holds a split with a map of classes per image, and no names for its values."""
    if not has_label_maps(path, split) or (path / CLASSES).exists():
        return False
    try:
        files = [file for pair in find_label_maps(path, split) for file in pair.masks]
        return are_classes([read_label_map(file) for file in files[:: -(-len(files) // LOOKED_AT)]])
    except DataError:
        return False  # the reader of label maps says what is wrong


def read_class_maps(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split with a map of classes per image.

    Values are named by `classes.json` as for label maps, or `class_1`, `class_2` and so on. Where there are others,
    255 is what does not count.

    Args:
        path, split, images: As for `find_label_maps`.

    Raises:
        DataError: As `read_label_maps`; or no map has an object.
    """
    pairs = find_label_maps(path, split, images)
    names = read_value_names(path)
    if names is None:
        values = sorted({int(value) for _, (file,) in pairs for value in np.unique(read_label_map(file))} - {0})
        names = {value: None if value == PLAIN and len(values) > 1 else f"class_{value}" for value in values}
        if not names:
            raise DataError(f"{path}: all {len(pairs)} maps are black, so that there is no class. Check the maps.")
    return gather_label_maps(pairs, path, images or path, classes=names)


def _count_parts(mask: np.ndarray) -> int:
    labels, count = ndimage.label(mask, structure=TOUCHING)
    areas = np.bincount(labels.ravel())[1 : count + 1]
    return int((areas >= LEAST_PART * areas.max()).sum())


CLASS_MAPS = Format(
    "class-maps",
    "maps of classes",
    "as label-maps, but values are classes and come back in several parts",
    has_class_maps,
    read_class_maps,
)
