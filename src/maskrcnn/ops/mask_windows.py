"""RoIAlign of many bitmaps that are known inside windows only, in one kernel: for GPUs, where small steps cost most.

`resample_bitmap` in `ops/masks.py` is the same for one object, and faster on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align

from .devices import carry


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
