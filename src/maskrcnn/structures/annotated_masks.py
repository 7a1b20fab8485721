"""Masks as they are annotated, polygons or RLE, turned into pixels one object at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from ..ops.rasterize import Polygons
from .masks import Crop, MaskCrops, Masks, encode_crop, tight_crop
from .rle import counts_from_text, crop_from_counts


class StoredMask(Protocol):
    """Pixels of one object that are read from elsewhere when they are needed."""

    def crop(self) -> Crop:
        """The pixels in the source image."""
        ...


Drawn = Polygons | bytes
"""Polygons, or COCO's compressed RLE."""

Source = Drawn | StoredMask
"""What is known of one object."""

IDENTITY = np.eye(2, 3)


@dataclass(eq=False)
class ObjectMasks(Masks):
    """N annotated masks and the one affine transform their image went through.

    Nothing is computed until a crop is asked for, and then in the object's own window only. Pixel (column, row) covers
    [column, column + 1) x [row, row + 1). Without a transform the pixels are COCO's own, bit for bit; flips, quarter
    turns and whole-pixel crops move those pixels unchanged. Any other transform moves the corners of polygons, and
    looks up the nearest pixel of RLE.

    Args:
        sources: N polygons, compressed RLE or stored masks, in the source image's pixels.
        source_size: (height, width) of the image they were annotated in.
        size: (height, width) of the current image.
        affine: [2, 3] float64, source x, y, 1 to current x, y.
    """

    sources: tuple[Source, ...]
    source_size: tuple[int, int]
    size: tuple[int, int]
    affine: np.ndarray = field(default_factory=IDENTITY.copy)

    @classmethod
    def of(cls, sources: Sequence[Source], size: tuple[int, int]) -> ObjectMasks:
        """Masks in the image of `size` (height, width) they were annotated in."""
        return cls(tuple(sources), size, size)

    @classmethod
    def from_bitmaps(cls, bitmaps: np.ndarray | Tensor, size: tuple[int, int]) -> ObjectMasks:
        """Masks of bitmaps [N, height, width], kept as RLE; pixels that are not 0 are of the object.

        Args:
            bitmaps: N may be 0.
            size: (height, width) of them, and of the image.
        """
        crops = [tight_crop(0, 0, np.asarray(bitmap) != 0) for bitmap in bitmaps]
        return cls.of([encode_crop(crop, size)["counts"].encode() for crop in crops], size)

    def __len__(self) -> int:
        return len(self.sources)

    def _select(self, index: slice | Tensor) -> ObjectMasks:
        chosen = torch.arange(len(self))[index if isinstance(index, slice) else index.cpu()].tolist()
        return replace(self, sources=tuple(self.sources[i] for i in chosen))

    def to(self, device: torch.device | str) -> ObjectMasks:
        """Itself: annotations stay on the host, only their `crops` travel."""
        return self

    def transformed(self, affine: np.ndarray, size: tuple[int, int]) -> ObjectMasks:
        """The same objects after the image went through one more affine transform.

        Args:
            affine: [2, 3] or [3, 3] current x, y, 1 to new x, y, in continuous pixel coordinates.
            size: (height, width) of the new image.
        """
        combined = np.asarray(affine, dtype=np.float64)[:2] @ _square(self.affine)
        return replace(self, affine=combined, size=size)

    def crop(self, i: int) -> Crop:
        """Pixels of object i in the smallest window that holds them; h = w = 0 if it has none in the image."""
        source = self.sources[i]
        if isinstance(source, tuple) and not _maps_pixels_to_pixels(self.affine):
            return _rasterize(self.polygons_of(i), self.size)
        if isinstance(source, bytes):
            crop = crop_from_counts(counts_from_text(source), self.source_size)
        elif isinstance(source, tuple):
            crop = _rasterize(source, self.source_size)
        else:
            crop = source.crop()
        unchanged = self.size == self.source_size and np.array_equal(self.affine, IDENTITY)
        return crop if unchanged else _resample(crop, self.affine, self.size)

    def polygons_of(self, i: int) -> Polygons:
        """Polygons of object i in the current image's pixels; empty if none are annotated."""
        source = self.sources[i]
        return tuple(_moved(polygon, self.affine) for polygon in source) if isinstance(source, tuple) else ()

    def crops(self) -> MaskCrops:
        """All objects as packed bitmaps, with the polygons that are known."""
        objects = range(len(self))
        return MaskCrops.of([self.crop(i) for i in objects], self.size, tuple(self.polygons_of(i) for i in objects))


def _square(affine: np.ndarray) -> np.ndarray:
    return np.vstack([affine[:2], [0.0, 0.0, 1.0]])


def _moved(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return points @ affine[:, :2].T + affine[:, 2]


def _maps_pixels_to_pixels(affine: np.ndarray) -> bool:
    """Whether the transform is made of flips, quarter turns and shifts by whole pixels."""
    return bool((affine == np.round(affine)).all() and (np.abs(affine[:, :2]) <= 1).all())


def _rasterize(polygons: Polygons, size: tuple[int, int]) -> Crop:
    """COCO's own pixels of polygons; its RLE need memory for the polygon's length only."""
    parts = coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *size)
    return _united([crop_from_counts(counts_from_text(part["counts"]), size) for part in parts])


def _united(parts: list[Crop]) -> Crop:
    """The smallest crop with the pixels of all parts."""
    parts = [part for part in parts if part.bitmap.size]
    if len(parts) < 2:
        return parts[0] if parts else Crop(0, 0, np.zeros((0, 0), dtype=bool))
    left, top = min(part.x for part in parts), min(part.y for part in parts)
    right = max(x + bitmap.shape[1] for x, _, bitmap in parts)
    bottom = max(y + bitmap.shape[0] for _, y, bitmap in parts)
    united = np.zeros((bottom - top, right - left), dtype=bool)
    for x, y, bitmap in parts:
        united[y - top : y - top + bitmap.shape[0], x - left : x - left + bitmap.shape[1]] |= bitmap
    return Crop(left, top, united)


def _resample(crop: Crop, affine: np.ndarray, size: tuple[int, int]) -> Crop:
    """Nearest source pixel of each pixel's center, inside the window the transform takes the crop to."""
    height, width = crop.bitmap.shape
    left, right, top, bottom = crop.x, crop.x + width, crop.y, crop.y + height
    corners = _moved(np.array([[left, top], [right, top], [left, bottom], [right, bottom]]), affine).round(6)
    x1, y1 = np.floor(corners.min(axis=0)).astype(int).clip(0)
    x2, y2 = np.minimum(np.ceil(corners.max(axis=0)).astype(int), size[::-1])
    if not crop.bitmap.size or x2 <= x1 or y2 <= y1:
        return Crop(0, 0, np.zeros((0, 0), dtype=bool))
    x, y = np.arange(x1, x2)[None] + 0.5, np.arange(y1, y2)[:, None] + 0.5
    back = np.linalg.inv(_square(affine))
    columns, rows = _along(back[0], x, y) - crop.x, _along(back[1], x, y) - crop.y
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    bitmap = crop.bitmap[rows.clip(0, height - 1), columns.clip(0, width - 1)] & inside
    return tight_crop(int(x1), int(y1), bitmap)


def _along(terms: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Source column or row; one row or column of numbers, not a whole grid, where it depends on x or y alone."""
    parts = [factor * axis for factor, axis in zip(terms, (x, y), strict=False) if factor]
    return np.floor(sum(parts) + terms[2]).astype(int)
