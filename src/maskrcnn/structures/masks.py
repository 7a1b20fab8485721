"""Masks of the objects of one image, not held at the image's size unless somebody asks for a bitmap.

Three kinds share one base (`Masks`): `ObjectMasks` (annotated polygons and RLE), `MaskCrops` (bitmaps inside a window
around each object, and the polygons that are known, to train on) and `SoftMasks` (a head's probabilities on a small
grid in each box).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple, Self, get_args

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from ..ops.contours import fit_quadrilateral, trace_contour
from ..ops.devices import carry
from ..ops.masks import Polygons

Index = int | slice | Tensor | np.ndarray | Sequence[int] | Sequence[bool]
"""Which objects: one, some by their numbers, a truth value for each, or a slice."""
PolygonKind = Literal["quad", "contour"]
"""A rectangle at any angle, or the contour of the pixels."""


def as_index(index: Index, count: int) -> slice | Tensor:
    """A slice or a tensor that chooses the same of `count` objects; a single one is a slice of length 1.

    Raises:
        IndexError: There is no such object.
    """
    if isinstance(index, slice):
        return index
    if isinstance(index, int | np.integer) or (isinstance(index, Tensor) and index.ndim == 0):
        index = int(index)
        if not -count <= index < count:
            raise IndexError(f"there is no object {index} among {count}")
        return slice(index % count, index % count + 1)
    if isinstance(index, Tensor | np.ndarray):
        return torch.as_tensor(index)
    return torch.tensor(index, dtype=None if len(index) else torch.int64)


class Crop(NamedTuple):
    """Pixels of one object inside a window of its image.

    Args:
        x, y: Column and row of the window's top left pixel.
        bitmap: [h, w] bool; the object has no pixel outside the window. Empty objects have h = w = 0.
    """

    x: int
    y: int
    bitmap: np.ndarray


def tight_crop(x: int, y: int, bitmap: np.ndarray) -> Crop:
    """The smallest crop with the same pixels as a bitmap whose top left pixel is (x, y)."""
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not len(rows):
        return Crop(0, 0, np.zeros((0, 0), dtype=bool))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return Crop(x + left, y + top, np.ascontiguousarray(bitmap[top:bottom, left:right]))


def crop_polygon(crop: Crop, shape: PolygonKind) -> np.ndarray:
    """[V, 2] float64 x, y in continuous pixels of the image around the largest part of an object; V = 0 if empty."""
    points = fit_quadrilateral(crop.bitmap) if shape == "quad" else trace_contour(crop.bitmap)
    return points + np.array([crop.x, crop.y])


class Masks(ABC):
    """N masks in an image of `size` (height, width)."""

    size: tuple[int, int]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def crop(self, i: int) -> Crop:
        """Pixels of object i inside a window."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same masks with their tensors on `device`."""

    @abstractmethod
    def _select(self, index: slice | Tensor) -> Self: ...

    def __getitem__(self, index: Index) -> Self:
        """The chosen masks, also if it is one."""
        return self._select(as_index(index, len(self)))

    def bitmap(self, i: int) -> np.ndarray:
        """[height, width] bool bitmap of object i."""
        full = np.zeros(self.size, dtype=bool)
        self._paste(i, full)
        return full

    def bitmaps(self) -> np.ndarray:
        """[N, height, width] bool bitmaps of all objects: N bytes per pixel of the image."""
        full = np.zeros((len(self), *self.size), dtype=bool)
        for i in range(len(self)):
            self._paste(i, full[i])
        return full

    def to_rle(self) -> list[dict]:
        """COCO RLE of each mask: {"size": [height, width], "counts": str}. One object is in memory at a time."""
        return [encode_crop(self.crop(i), self.size) for i in range(len(self))]

    def to_polygons(self, shape: PolygonKind = "contour") -> list[np.ndarray]:
        """A polygon [V, 2] around each mask, as of `crop_polygon`. One object is in memory at a time."""
        if shape not in get_args(PolygonKind):
            raise ValueError(f"shape is {shape!r}, but must be one of {', '.join(get_args(PolygonKind))}")
        return [crop_polygon(self.crop(i), shape) for i in range(len(self))]

    def _paste(self, i: int, full: np.ndarray) -> None:
        x, y, bitmap = self.crop(i)
        full[y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = bitmap


def to_rle(masks: Masks | np.ndarray | Tensor) -> list[dict]:
    """COCO RLE of N masks, {"size": [height, width], "counts": str} each.

    Args:
        masks: Of this library, or bitmaps [N, height, width] of another, 0 where the object is not.

    Raises:
        ValueError: Bitmaps have other dimensions.
    """
    if isinstance(masks, Masks):
        return masks.to_rle()
    bitmaps = masks.cpu().numpy() if isinstance(masks, Tensor) else masks
    if bitmaps.ndim != 3:
        raise ValueError(f"bitmaps have the shape {list(bitmaps.shape)}, but must be [masks, height, width]")
    return [encode_crop(tight_crop(0, 0, bitmap != 0), (bitmap.shape[0], bitmap.shape[1])) for bitmap in bitmaps]


def encode_crop(crop: Crop, size: tuple[int, int]) -> dict:
    """COCO RLE of one object, from the pixels of its window only.

    Args:
        crop: Pixels of the object.
        size: (height, width) of its image.
    """
    height, width = size
    rows, columns = crop.bitmap.shape
    # One empty row below the window ends every column's last run, unless a column fills the image's whole height.
    gap = 1 if rows < height else 0
    padded = np.zeros((columns, rows + gap), dtype=np.int8)
    padded[:, :rows] = crop.bitmap.T
    changes = np.flatnonzero(np.diff(padded.ravel(), prepend=0, append=0))
    column, row = np.divmod(changes, max(1, rows + gap))
    positions = (crop.x + column) * height + crop.y + row
    counts = np.diff(positions, prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]  # as COCO's own encoder does where the image's last pixel belongs to the object
    return encode_counts(counts.tolist(), size)


def encode_counts(counts: list[int], size: tuple[int, int]) -> dict:
    """COCO RLE of runs of background and object in turn that fill an image of `size` (height, width)."""
    rle = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(size), "counts": _text(rle["counts"])}


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


@dataclass
class MaskCrops(Masks):
    """Bitmaps of N objects in one flat buffer, so that a batch moves between processes and devices as two tensors.

    Args:
        pixels: [sum of h * w] uint8, the windows one after the other, each row by row.
        windows: [N, 4] int64 x1, y1, x2, y2 of each object's window, on the host.
        size: (height, width) of the image.
        polygons: Of each object, in the image's pixels, empty where not known; or nothing at all. They stay on the
            host.
    """

    pixels: Tensor
    windows: Tensor
    size: tuple[int, int]
    polygons: tuple[Polygons, ...] | None = None

    @classmethod
    def of(cls, crops: list[Crop], size: tuple[int, int], polygons: tuple[Polygons, ...] | None = None) -> MaskCrops:
        """Pack separate crops."""
        windows = [(x, y, x + bitmap.shape[1], y + bitmap.shape[0]) for x, y, bitmap in crops]
        pixels = [bitmap.ravel() for _, _, bitmap in crops]
        flat = np.concatenate(pixels).astype(np.uint8) if pixels else np.zeros(0, np.uint8)
        return cls(torch.from_numpy(flat), torch.tensor(windows, dtype=torch.int64).reshape(-1, 4), size, polygons)

    def __len__(self) -> int:
        return len(self.windows)

    def _select(self, index: slice | Tensor) -> MaskCrops:
        index = index.to(self.windows.device) if isinstance(index, Tensor) else index
        chosen = torch.arange(len(self))[index].tolist()
        pixels = torch.cat([self.pixels_of(i).flatten() for i in chosen]) if chosen else self.pixels[:0]
        polygons = None if self.polygons is None else tuple(self.polygons[i] for i in chosen)
        return MaskCrops(pixels, self.windows[index], self.size, polygons)

    def to(self, device: torch.device | str) -> MaskCrops:
        return replace(self, pixels=carry(self.pixels, device))

    def polygons_of(self, i: int) -> Polygons:
        """Polygons of object i; empty where not known."""
        return self.polygons[i] if self.polygons else ()

    def crop(self, i: int) -> Crop:
        x, y = self.origin(i)
        return Crop(x, y, self.pixels_of(i).cpu().numpy().astype(bool))

    def origin(self, i: int) -> tuple[int, int]:
        """(x, y) of the top left pixel of object i's window."""
        x1, y1, _, _ = self._corners[i]
        return x1, y1

    def pixels_of(self, i: int) -> Tensor:
        """[h, w] uint8 pixels of object i inside its window, a view of the buffer."""
        x1, y1, x2, y2 = self._corners[i]
        return self.pixels[self._edges[i] : self._edges[i + 1]].view(y2 - y1, x2 - x1)

    @cached_property
    def _corners(self) -> list[list[int]]:
        return self.windows.tolist()

    @cached_property
    def _edges(self) -> list[int]:
        """Where each object's pixels start in the buffer, and where the last one's end."""
        return [0, *accumulate((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in self._corners)]
