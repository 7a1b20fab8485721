"""RoIAlign of many bitmaps that are known inside windows only, in one kernel: for GPUs, where small steps cost most.

`resample_bitmap` in `ops/masks.py` is the same for one object, and faster on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align


def resample_windows(
    pixels: Tensor,
    windows: Tensor,
    extent: tuple[int, int],
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
        extent: (height, width) of the picture, which boxes do not leave.
        matches: [P] object of each box.
        boxes: [P, 4].
        size: Bins per side, S.
        half_pixel: As for `resample_bitmap`.

    Returns:
        [P, S, S] in 0..1, in the dtype of the boxes.
    """
    if not len(windows) or not len(boxes):
        return boxes.new_zeros(len(boxes), size, size)
    origins = windows[:, :2].repeat(1, 2).to(boxes) - 1
    bitmaps = _framed_bitmaps(pixels.to(boxes.dtype), windows, extent)
    shifted = boxes - origins[matches]
    return roi_align(
        bitmaps[:, None],
        torch.cat([matches[:, None].to(boxes.dtype), shifted], dim=1),
        size,
        sampling_ratio=0,  # as many points as a bin has pixels
        aligned=half_pixel,
    )[:, 0]


def _framed_bitmaps(pixels: Tensor, windows: Tensor, extent: tuple[int, int]) -> Tensor:
    """[G, H, W] bitmaps in a frame of one pixel: 0, or the pixel beside it where the window ends with the picture."""
    sides = windows[:, 2:] - windows[:, :2]
    tallest, widest = int(sides[:, 1].max()) + 2, int(sides[:, 0].max()) + 2
    counts = sides.prod(dim=1)
    starts = counts.cumsum(0) - counts
    counts, starts, widths = (numbers.to(pixels.device) for numbers in (counts, starts, sides[:, 0]))
    owners = torch.repeat_interleave(counts, output_size=len(pixels))
    places = torch.arange(len(pixels), device=pixels.device) - starts[owners]
    rows, columns = places // widths[owners], places % widths[owners]
    framed = pixels.new_zeros(len(windows), tallest, widest)
    framed[owners, rows + 1, columns + 1] = pixels
    height, width = extent
    _extend_edges(framed, 2, windows[:, 0] == 0, sides[:, 0], windows[:, 2] == width)
    _extend_edges(framed, 1, windows[:, 1] == 0, sides[:, 1], windows[:, 3] == height)
    return framed


def _extend_edges(framed: Tensor, axis: int, at_start: Tensor, lengths: Tensor, at_end: Tensor) -> None:
    """Repeat the first and the last line of windows, along an axis, where they end with the picture."""
    shape = (-1, 1, 1)
    at_start, at_end, lengths = (values.to(framed.device).view(shape) for values in (at_start, at_end, lengths))
    first = framed.narrow(axis, 1, 1)
    framed.narrow(axis, 0, 1).copy_(torch.where(at_start, first, framed.narrow(axis, 0, 1)))
    place = lengths.expand_as(first)
    last = framed.gather(axis, place)
    framed.scatter_(axis, place + 1, torch.where(at_end, last, 0.0))
