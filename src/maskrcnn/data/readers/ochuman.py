"""OCHuman's own annotations in COCO's terms, as the official converter makes them.

Zhang et al. 2019, Pose2Seg; https://github.com/liruilong940607/OCHumanApi, `ochuman.py`, `toCocoFormart`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ...errors import DataError
from ...ops.files import read_json
from ...structures.classes import COCO_PERSON
from ...structures.coco_forms import polygon_points
from ..dataset import Contents
from ..pixel_limit import require_pixels
from .contents import Format

NAME = "ochuman.json"
VAL_IMAGES = 2500
"""So many of the images with annotated people, by their ids, are the split val; the rest is test."""
SUBSETS = {"all": slice(None), "val": slice(VAL_IMAGES), "test": slice(VAL_IMAGES, None)}
ALL_OVERLAPS = (0.0, 1.0)
VISIBILITY = {0: 0, 1: 2, 2: 2, 3: 1}
"""COCO's visibility of OCHuman's missing, visible, hidden by the person itself, hidden by others."""


def find_ochuman(path: Path) -> Path | None:
    """The annotation file of OCHuman that a path is or holds, by its name; None: there is none."""
    places = [path] if path.name == NAME else [path / NAME, path / "annotations" / NAME]
    return next((place for place in places if place.is_file()), None)


def has_ochuman(path: Path, split: str) -> bool:
    """Whether a path holds a split: a folder "val" and "test", the file itself any, because "train" means all of it."""
    return find_ochuman(path) is not None and (path.is_file() or split != "train")


def is_part_of_ochuman(path: Path, split: str) -> bool:
    """Whether a split is a part of the file."""
    return split in ("val", "test")


def read_ochuman(
    path: Path, subset: str = "all", images: Path | None = None, *, overlaps: tuple[float, float] = ALL_OVERLAPS
) -> Contents:
    """Read `ochuman.json`.

    Args:
        path: The file, or the folder that holds it.
        subset: "val", "test" or "all"; there are no images to train on, so any other split is all of them, too.
        images: Folder of the images; None: `images/` beside the file or beside its folder.
        overlaps: From and below which IoU with another person; moderate is [0.5, 0.75), hard [0.75, 1).

    Raises:
        DataError: The file is missing or not what the official one is.
    """
    file = find_ochuman(path)
    if file is None:
        raise DataError(f"{path / NAME}: there is no such file. Unpack OCHuman there, or give its {NAME}.")
    native = read_json(file, expected="OCHuman's annotations", remedy="Unpack it again.")
    beside = file.parent / "images"
    folder = beside if beside.is_dir() or file.parent.name != "annotations" else file.parent.parent / "images"
    part = subset if subset in SUBSETS else "all"
    return Contents(file, images or folder, convert_ochuman(native, file, part, overlaps=overlaps))


def convert_ochuman(
    native: Any, source: Path, subset: str = "all", *, overlaps: tuple[float, float] = ALL_OVERLAPS
) -> dict[str, Any]:
    """OCHuman's own annotations as a COCO file.

    Only people with both keypoints and a mask are kept, and images with such people. A person's area is that of the
    box. Visible and self-occluded keypoints get visibility 2, those hidden by others 1.

    Args:
        native: What is in `ochuman.json`.
        source: The file, for messages.
        subset, overlaps: As for `read_ochuman`.

    Raises:
        DataError: Naming the image and what is wrong with it.
    """
    try:
        places = [native["keypoint_names"].index(name) for name in COCO_PERSON.names]
        known = {image["image_id"]: image for image in native["images"] if any(map(_is_complete, _people(image)))}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{source}: is not OCHuman's annotation file ({type(error).__name__}: {error}); it needs `keypoint_names` "
            "with COCO's 17 and `images` with `image_id` and `annotations`. Unpack OCHuman again."
        ) from error
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id in sorted(known)[SUBSETS[subset]]:
        image = known[image_id]
        try:
            people = [_converted(person, places) for person in _people(image) if _is_kept(person, overlaps)]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"{source}: image {image_id}: a person's `bbox`, `keypoints`, `segms` or `max_iou` cannot be used "
                f"({type(error).__name__}: {error}). Unpack OCHuman again."
            ) from error
        if people:
            images.append({"id": len(images) + 1, **{key: image[key] for key in ("file_name", "height", "width")}})
        for person in people:
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), **person})
    category = {"id": 1, "name": "person", "supercategory": "person", **COCO_PERSON.described()}
    return {"images": images, "annotations": annotations, "categories": [category]}


def _people(image: dict[str, Any]) -> list[dict[str, Any]]:
    return image["annotations"]


def _is_complete(person: dict[str, Any]) -> bool:
    return bool(person["keypoints"] and person["segms"])


def _is_kept(person: dict[str, Any], overlaps: tuple[float, float]) -> bool:
    return _is_complete(person) and overlaps[0] <= person["max_iou"] < overlaps[1]


def _converted(person: dict[str, Any], places: Sequence[int]) -> dict[str, Any]:
    x1, y1, x2, y2 = person["bbox"]
    points = [person["keypoints"][3 * place : 3 * place + 3] for place in places]
    keypoints = [(x, y, VISIBILITY.get(visibility, visibility)) for x, y, visibility in points]
    return {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "keypoints": [number for point in keypoints for number in point],
        "num_keypoints": sum(visibility > 0 for _, _, visibility in keypoints),
        "segmentation": _mask(person["segms"]),
    }


def _mask(polygons: dict[str, Any]) -> dict[str, Any]:
    """RLE of what lies in an outer polygon and in no inner one."""
    size = int(polygons["height"]), int(polygons["width"])
    require_pixels("OCHuman", size)
    outer, inner = (_union(polygons[key], size) for key in ("outer", "inner"))
    if coco_mask.area(inner):
        remaining = coco_mask.decode(outer) & ~coco_mask.decode(inner).astype(bool)
        outer = coco_mask.encode(np.asfortranarray(remaining, dtype=np.uint8))
    counts = outer["counts"]
    return {"size": list(size), "counts": counts if isinstance(counts, str) else counts.decode("ascii")}


def _union(polygons: list[list[float]], size: tuple[int, int]) -> dict[str, Any]:
    whole = [polygon_points(polygon, size).ravel() for polygon in polygons if len(polygon) >= 6]
    if not whole:
        return coco_mask.encode(np.zeros(size, dtype=np.uint8, order="F"))
    return coco_mask.merge(coco_mask.frPyObjects(whole, *size))


FORMAT = Format("ochuman", "OCHuman", "ochuman.json beside images/", has_ochuman, read_ochuman, is_part_of_ochuman)
