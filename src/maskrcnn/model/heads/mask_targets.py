"""What a mask head learns for each proposal: the part of its object's mask that the proposal sees.

Shapes: P proposals, m pixels per side of a target.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from ...ops.masks import draw_in_box, resample_bitmap, resample_windows
from ...structures.masks import MaskCrops, Masks

LARGEST_BITMAPS = 2**27
"""Most pixels of bitmaps that a GPU holds at once, all as large as their image, unless one image has more."""
Kind = Literal["soft", "thresholded", "polygons"]
"""As in `MaskHeadSettings.targets`."""


def mask_targets(
    masks: list[Masks | None], matches: list[Tensor], boxes: list[Tensor], size: int, kind: Kind
) -> Tensor:
    """The part of each annotated mask that its proposal sees.

    With `polygons`, objects whose polygons are not known (annotated as RLE) get their bitmap, cut at one half.

    Args:
        masks: Annotated masks of each image, as `MaskCrops`.
        matches: Per image [P_i] object of each proposal.
        boxes: Per image [P_i, 4] proposals.
        size: Pixels per side of the target, m.
        kind: How masks come to the target's grid.

    Returns:
        [P, m, m] in 0..1, of all images.

    Raises:
        ValueError: The masks are of another kind, or there are none.
    """
    crops = []
    for one in masks:
        if not isinstance(one, MaskCrops):
            raise ValueError(f"targets need masks as MaskCrops to train a mask head, not {type(one).__name__}")
        crops.append(one)
    drawn = kind == "polygons" and any(one.polygons for one in crops)
    # Not in bfloat16: it would blur the polygons, and prepare a kernel anew for every size of bitmap.
    with torch.autocast(boxes[0].device.type, enabled=False):
        if boxes[0].device.type != "cpu" and not drawn:
            return _targets_at_once(crops, matches, boxes, size, kind)
        targets = [
            _target(one, i, box, size, kind)
            for one, numbers, group in zip(crops, matches, boxes, strict=True)
            for i, box in zip(numbers.tolist(), group, strict=True)
        ]
    return torch.stack(targets) if targets else boxes[0].new_zeros(0, size, size)


def _targets_at_once(
    masks: list[MaskCrops], matches: list[Tensor], boxes: list[Tensor], size: int, kind: Kind
) -> Tensor:
    """[P, m, m] of all proposals, where a GPU would spend its time with starting small kernels."""
    soft = kind == "soft"
    largest = max(len(one) * one.size[0] * one.size[1] for one in masks)
    most = max(1, LARGEST_BITMAPS // max(1, largest))
    groups = [slice(first, first + most) for first in range(0, len(masks), most)]
    resampled = torch.cat(
        [_resample_all(masks[group], matches[group], boxes[group], size, half_pixel=not soft) for group in groups]
    )
    return resampled if soft else (resampled >= 0.5).to(resampled)


def _resample_all(
    masks: list[MaskCrops], matches: list[Tensor], boxes: list[Tensor], size: int, *, half_pixel: bool
) -> Tensor:
    """`resample_windows` for the objects of several images."""
    counts = [len(one) for one in masks]
    starts = accumulate(counts, initial=0)
    return resample_windows(
        torch.cat([one.pixels for one in masks]),
        torch.cat([one.windows for one in masks]),
        torch.tensor([one.size for one in masks]).repeat_interleave(torch.tensor(counts), dim=0),
        torch.cat([numbers + start for numbers, start in zip(matches, starts, strict=False)]),
        torch.cat(boxes),
        size,
        half_pixel=half_pixel,
    )


def _target(masks: MaskCrops, i: int, box: Tensor, size: int, kind: Kind) -> Tensor:
    """[m, m] of one proposal."""
    polygons = masks.polygons_of(i) if kind == "polygons" else ()
    if polygons:
        return torch.from_numpy(draw_in_box(polygons, box.tolist(), size)).to(box)
    soft = kind == "soft"
    resampled = resample_bitmap(masks.pixels_of(i), masks.origin(i), box, masks.size, size, half_pixel=not soft)
    return resampled if soft else (resampled >= 0.5).to(box)
