"""Bitmaps to mask targets, and back from a head's grid to pixels.

Bilinear sampling on a regular grid is separable: resampling a bitmap is a small matrix for its rows, one for its
columns, and two products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor
from torchvision.ops import roi_align

from .devices import carry


def resample_bitmap(
    bitmap: Tensor,
    origin: tuple[int, int],
    box: Tensor,
    extent: tuple[int, int],
    size: int,
    *,
    half_pixel: bool = False,
) -> Tensor:
    """RoIAlign of one bitmap that is known inside a window only.

    Bins are averaged over ceil(bin side) sampling points per side, so that no pixel of a large box is skipped.

    Args:
        bitmap: [h, w] pixels of the window; those outside it are 0.
        origin: (x, y) of the window's top left pixel.
        box: [4] x1, y1, x2, y2.
        extent: (height, width) of the image, at whose border sampling points are held.
        size: Bins per side, S.
        half_pixel: Pixel centers lie at .5 (detectron2, mmdetection). Otherwise they lie at whole numbers, and boxes
            are taken to be at least 1 px wide and high (torchvision).

    Returns:
        [S, S] in 0..1, in the dtype of the box.
    """
    x1, y1, x2, y2 = box.tolist()
    rows = _bin_matrix((y1, y2), (origin[1], bitmap.shape[0], extent[0]), size, box, half_pixel)
    columns = _bin_matrix((x1, x2), (origin[0], bitmap.shape[1], extent[1]), size, box, half_pixel)
    return rows @ bitmap.to(box.dtype) @ columns.T


def _bin_matrix(
    ends: tuple[float, float], pixels: tuple[int, int, int], size: int, like: Tensor, half_pixel: bool
) -> Tensor:
    """[S, h] weights of the window's pixels in each bin, along one axis.

    Args:
        ends: Of the box.
        pixels: The window's first pixel and their number h, and the image's number of pixels.
        size: S.
        like: Gives dtype and device.
        half_pixel: As in `resample_bitmap`.
    """
    origin, length, extent = pixels
    low, high = (end - 0.5 for end in ends) if half_pixel else ends
    side = high - low if half_pixel else max(high - low, 1.0)
    samples = math.ceil(side / size)
    steps = torch.arange(size * samples, dtype=like.dtype, device=like.device).add(0.5).div(max(1, size * samples))
    points = low + side * steps
    inside = (points >= -1) & (points <= extent)
    weights = _interpolation(points.clamp(0, extent - 1), origin, length) * inside[:, None]
    return weights.view(size, samples, length).sum(dim=1) / max(1, samples)


def _interpolation(points: Tensor, origin: int, length: int) -> Tensor:
    """[P, length] linear weights, at each point, of the values at the whole numbers from `origin` on; 0 beyond them."""
    places = torch.arange(origin, origin + length, dtype=points.dtype, device=points.device)
    return (1 - (points[:, None] - places).abs()).clamp(min=0)


def paste_window(box: Sequence[float], grid: int) -> tuple[int, int, int, int]:
    """Pixels x1, y1, x2, y2 (the last ones included) over which a mask grid with a border of one cell is spread.

    The grid sees the box and half a cell around it, as in Detectron: the box grows by one cell of `grid`.
    """
    x1, y1, x2, y2 = box
    grown = (grid + 2) / grid
    half_width, half_height = (x2 - x1) / 2 * grown, (y2 - y1) / 2 * grown
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return int(x - half_width), int(y - half_height), int(x + half_width), int(y + half_height)


def spread_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Enlarge a mask [m, m], with a border of one empty cell, to [height, width] by bilinear interpolation."""
    padded = F.pad(mask, (1, 1, 1, 1))[None, None]
    return F.interpolate(padded, size=(height, width), mode="bilinear", align_corners=False)[0, 0]


def sampled_window(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixels x1, y1, x2, y2 (the last ones left out) of an image of `size` in which `sample_mask` may find an object.

    A mask reaches half a cell beyond its box, but stays below one half there.
    """
    height, width = size
    x1, y1, x2, y2 = box
    left, top = max(math.floor(x1) - 1, 0), max(math.floor(y1) - 1, 0)
    return left, top, max(min(math.ceil(x2) + 1, width), left), max(min(math.ceil(y2) + 1, height), top)


def sample_mask(mask: Tensor, box: Sequence[float], window: tuple[int, int, int, int]) -> Tensor:
    """A mask's values at the centers of pixels, bilinear between the centers of its cells and 0 beyond them.

    This is how detectron2 and mmdetection paste masks (`grid_sample` with `align_corners=False`).

    Args:
        mask: [m, m], spread over the box.
        box: x1, y1, x2, y2; one without area has no values but 0.
        window: x1, y1, x2, y2 of the pixels to cut out (the last ones left out).

    Returns:
        [h, w] in the dtype of the mask.
    """
    with torch.autocast(mask.device.type, enabled=False):
        rows = _cell_matrix((box[1], box[3]), (window[1], window[3]), mask)
        return rows @ mask @ _cell_matrix((box[0], box[2]), (window[0], window[2]), mask).T


def _cell_matrix(ends: tuple[float, float], pixels: tuple[int, int], mask: Tensor) -> Tensor:
    """[h, m] weights of the cells at each pixel's center, along one axis."""
    low, high = ends
    cells = mask.shape[-1]
    centers = torch.arange(*pixels, dtype=mask.dtype, device=mask.device) + 0.5
    if high <= low:
        return mask.new_zeros(len(centers), cells)
    return _interpolation((centers - low) / (high - low) * cells - 0.5, 0, cells)


Polygons = tuple[np.ndarray, ...]
"""Polygons of one object, each [V, 2] float64 x, y; the object is their union."""

SMALLEST_SIDE = 0.1
"""Boxes with a shorter side, in pixels, are treated as if they had this one."""


def draw_in_box(polygons: Polygons, box: Sequence[float], size: int) -> np.ndarray:
    """Draw an object on a grid spread over a box, from its polygons (detectron2's mask targets).

    Nothing is rounded before the polygons are on the grid, so that small objects keep their shape.

    Args:
        polygons: At least one polygon.
        box: x1, y1, x2, y2.
        size: Cells per side of the grid, m.

    Returns:
        [m, m] uint8, 1 on the object.
    """
    corner = np.array(box[:2])
    scale = size / np.maximum(np.array(box[2:]) - corner, SMALLEST_SIDE)
    drawn = coco_mask.frPyObjects([((polygon - corner) * scale).ravel() for polygon in polygons], size, size)
    return coco_mask.decode(coco_mask.merge(drawn))


def resample_windows(
    pixels: Tensor,
    windows: Tensor,
    extents: Tensor,
    matches: Tensor,
    boxes: Tensor,
    size: int,
    *,
    half_pixel: bool = False,
) -> Tensor:
    """RoIAlign of the bitmaps that boxes stand for; nothing waits for the device.

    Args:
        pixels: [sum of h * w] uint8, the windows one after the other, each row by row.
        windows: [G, 4] int64 x1, y1, x2, y2 of each object's window, on the host.
        extents: [G, 2] int64 (height, width) of each object's image, which boxes do not leave, on the host.
        matches: [P] object of each box.
        boxes: [P, 4].
        size: Bins per side, S.
        half_pixel: As for `resample_bitmap`.

    Returns:
        [P, S, S] in 0..1, in the dtype of the boxes.
    """
    if not len(windows) or not len(boxes):
        return boxes.new_zeros(len(boxes), size, size)
    origins = carry(windows[:, :2].repeat(1, 2).to(boxes.dtype) - 1, boxes.device)
    bitmaps = _framed_bitmaps(pixels.to(boxes.dtype), windows, extents)
    shifted = boxes - origins[matches]
    return roi_align(
        bitmaps[:, None],
        torch.cat([matches[:, None].to(boxes.dtype), shifted], dim=1),
        size,
        sampling_ratio=0,  # as many points as a bin has pixels
        aligned=half_pixel,
    )[:, 0]


def _framed_bitmaps(pixels: Tensor, windows: Tensor, extents: Tensor) -> Tensor:
    """[G, H, W] bitmaps in a frame of one pixel: 0, or the pixel beside it where the window ends with the image."""
    sides = windows[:, 2:] - windows[:, :2]
    tallest, widest = int(sides[:, 1].max()) + 2, int(sides[:, 0].max()) + 2
    counts = sides.prod(dim=1)
    starts = counts.cumsum(0) - counts
    at_start, at_end = windows[:, :2] == 0, windows[:, 2:] == extents.flip(1)
    known = carry(torch.stack([counts, starts, *sides.T, *at_start.T, *at_end.T]), pixels.device)
    counts, starts, widths, heights, left, top, right, bottom = known
    owners = torch.repeat_interleave(counts, output_size=len(pixels))
    places = torch.arange(len(pixels), device=pixels.device) - starts[owners]
    rows, columns = places // widths[owners], places % widths[owners]
    framed = pixels.new_zeros(len(windows), tallest, widest)
    framed[owners, rows + 1, columns + 1] = pixels
    _extend_edges(framed, 2, left, widths, right)
    _extend_edges(framed, 1, top, heights, bottom)
    return framed


def _extend_edges(framed: Tensor, axis: int, at_start: Tensor, lengths: Tensor, at_end: Tensor) -> None:
    """Repeat the first and the last line of windows, along an axis, where they end with the image."""
    at_start, lengths, at_end = (values.view(-1, 1, 1) for values in (at_start, lengths, at_end))
    first = framed.narrow(axis, 1, 1)
    framed.narrow(axis, 0, 1).copy_(torch.where(at_start > 0, first, framed.narrow(axis, 0, 1)))
    place = lengths.expand_as(first)
    last = framed.gather(axis, place)
    framed.scatter_(axis, place + 1, torch.where(at_end > 0, last, 0.0))
