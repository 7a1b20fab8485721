"""Objects painted into one map of an image, for the metrics in which a pixel belongs to one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .results import Results
from .segmentations import Size, rle_crop


def paint_label_map(masks: Sequence[dict], size: Size) -> np.ndarray:
    """Paint objects without overlap: a pixel belongs to the first of them that covers it.

    Args:
        masks: RLE of each object, the most important first.
        size: (height, width) of the image.

    Returns:
        [height, width] int32: 0 where no object is, i + 1 where object i is. An object that others cover wholly has no
        pixel.
    """
    painted = np.zeros(size, dtype=np.int32)
    for number, rle in enumerate(masks, start=1):
        x, y, bitmap = rle_crop(rle)
        window = painted[y : y + bitmap.shape[0], x : x + bitmap.shape[1]]
        window[bitmap & (window == 0)] = number
    return painted


def best_first(records: Sequence[dict], *, score_threshold: float) -> list[dict]:
    """Predicted masks in the order they are painted in.

    Args:
        records: COCO results of one image; those without a mask are left out.
        score_threshold: Records with at least this score are kept.

    Returns:
        Those kept by falling score; equal scores stay in the given order.
    """
    kept = [
        record for record in records if record.get("segmentation") is not None and record["score"] >= score_threshold
    ]
    return sorted(kept, key=lambda record: -record["score"])


def paint_images(
    results: Results, sizes: Mapping[int, Size], *, score_threshold: float
) -> Iterator[tuple[int, np.ndarray]]:
    """The predictions of each image painted without overlap, the best first.

    Args:
        results: Those without a mask are left out.
        sizes: (height, width) of the images by their ids.
        score_threshold: Predictions with at least this score are painted.

    Returns:
        Image id and label map of each image, in the order of `sizes`.
    """
    for image_id, size in sizes.items():
        kept = best_first(results.by_image.get(image_id, []), score_threshold=score_threshold)
        yield image_id, paint_label_map([record["segmentation"] for record in kept], size)
