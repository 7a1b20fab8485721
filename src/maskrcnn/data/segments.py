"""PNG files of segments in COCO's panoptic format (https://cocodataset.org/#format-data), read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..structures.masks import Crop, tight_crop
from ..structures.panoptic import UNKNOWN, decode_ids
from .images import read_pixels


@dataclass(frozen=True)
class SegmentFile:
    """The file that says which segment each pixel of an image belongs to.

    Args:
        path: An RGB PNG; a segment's id is red + 256 * green + 65536 * blue, 0 is none.
        size: (height, width) of its image.
        meanings: (id, value in the semantic map) of each segment that is known.
    """

    path: Path
    size: tuple[int, int]
    meanings: tuple[tuple[int, int], ...]

    def semantic(self) -> Tensor:
        """[h, w] uint8 semantic map; see `structures.panoptic`.

        Raises:
            DataError: The file is missing, is no image, or is of another size than its image.
        """
        known = dict(self.meanings)
        ids, places = np.unique(read_segment_ids(self.path, self.size), return_inverse=True)
        values = np.array([known.get(segment, UNKNOWN) for segment in ids.tolist()], dtype=np.uint8)
        return torch.from_numpy(values[places].reshape(self.size))


@dataclass(frozen=True)
class SegmentMask:
    """The pixels of one segment, a mask of `ObjectMasks`."""

    file: SegmentFile
    id: int

    def crop(self) -> Crop:
        """Its pixels in the smallest window that holds them.

        Raises:
            DataError: As `SegmentFile.semantic`.
        """
        return tight_crop(0, 0, read_segment_ids(self.file.path, self.file.size) == self.id)


@lru_cache(maxsize=1)  # all segments of an image are read one after the other
def read_segment_ids(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """[h, w] int32 ids of the pixels of a file, which must have the `size` (height, width), if one is given.

    Raises:
        DataError: As `SegmentFile.semantic`.
    """
    pixels = read_pixels(path, "RGB")
    if size is not None and pixels.shape[:2] != size:
        raise DataError(
            f"{path}: the file of segments is {pixels.shape[1]} px wide and {pixels.shape[0]} px high, but its image "
            f"is {size[1]} x {size[0]}. Both must be of one size; export the segments again."
        )
    return decode_ids(pixels)
