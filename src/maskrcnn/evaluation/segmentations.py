"""The `segmentation` field of annotations and results as RLE, checked before C++ code walks over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ..structures.masks import Crop
from ..structures.rle import check_counts, counts_from_text, crop_from_counts

Size = tuple[int, int]


def rle(segmentation: Any, size: Size) -> dict:
    """Compressed RLE of one object.

    Args:
        segmentation: Polygons [[x, y, x, y, ...], ...], or {"size": [height, width], "counts": text or list}.
        size: (height, width) of the image.

    Returns:
        {"size": [height, width], "counts": bytes}.

    Raises:
        ValueError: It is neither, or the runs do not fill the image; the text says what is wrong, and is meant to
            follow the name of the record. (Runs that end too early would make `mask.iou` loop for ever.)
    """
    if isinstance(segmentation, dict):
        return _checked_runs(segmentation, size)
    if isinstance(segmentation, list):
        return _from_polygons(segmentation, size)
    raise ValueError(f"segmentation is {segmentation!r:.60}, but must be polygons or RLE with size and counts")


def _from_polygons(polygons: list, size: Size) -> dict:
    try:
        sound = [len(polygon) >= 6 and bool(np.isfinite(polygon).all()) for polygon in polygons]
    except TypeError:
        sound = []
    if not sound or not all(sound):
        raise ValueError(f"segmentation {polygons!r:.60} must hold polygons of at least 3 points x, y")
    return coco_mask.merge(coco_mask.frPyObjects(polygons, *size))


def _checked_runs(segmentation: dict, size: Size) -> dict:
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(stated, Sequence) or tuple(stated) != tuple(size):
        raise ValueError(f"its mask is of size {stated}, but the image's [height, width] is {list(size)}")
    try:
        if isinstance(counts, str | bytes):
            text = counts.encode("ascii") if isinstance(counts, str) else counts
            check_counts(counts_from_text(text), size)
            return {"size": list(size), "counts": text}
        runs = np.array(counts, dtype=np.int64)
        check_counts(runs, size)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"its mask's RLE cannot be used: {error}") from error
    return coco_mask.frPyObjects({"size": list(size), "counts": runs.tolist()}, *size)


def to_text(rle: dict) -> dict:
    """RLE whose compressed counts are text, as JSON wants them."""
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}


def rle_crop(rle: dict) -> Crop:
    """The pixels of a mask in its own window, of RLE with compressed counts that is known to be right."""
    counts, size = rle["counts"], (rle["size"][0], rle["size"][1])
    return crop_from_counts(counts_from_text(counts.encode("ascii") if isinstance(counts, str) else counts), size)
