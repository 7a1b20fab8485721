"""Views of a picture for test-time augmentation: at other scales, and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..config import InputSettings
from ..errors import SettingError
from ..structures.batch import Batch

FARTHEST = 8
"""How many times larger or smaller than usual a view may be: more is a factor taken for a length, or the reverse."""


def scaled_inputs(settings: InputSettings, scales: Sequence[float]) -> list[InputSettings]:
    """The network's input at each scale; `longer` keeps its proportion, so that each is the usual one, enlarged.

    Args:
        settings: The usual input.
        scales: In place of its `magnify`, or of its `shorter` where it has none; repeated ones count once.

    Returns:
        At least one: the usual input if no scales are given.

    Raises:
        SettingError: A scale is a fraction of a pixel, or more than `FARTHEST` times off the usual one.
    """
    return [_scaled(settings, scale) for scale in dict.fromkeys(scales)] or [settings]


def _scaled(settings: InputSettings, scale: float) -> InputSettings:
    usual = settings.magnify or settings.shorter
    lowest, highest = usual / FARTHEST, usual * FARTHEST
    if not lowest <= scale <= highest or (settings.magnify is None and scale != round(scale)):
        kind = "lengths of the shorter side in whole pixels" if settings.magnify is None else "factors"
        name = "shorter" if settings.magnify is None else "magnify"
        raise SettingError(
            f"scale {scale:g}: scales are {kind} for these weights, whose model.input.{name} is {usual:g}. Give "
            f"numbers from {lowest:g} to {highest:g}."
        )
    size = {"shorter": round(scale)} if settings.magnify is None else {"magnify": scale}
    return settings.changed({**size, "longer": max(1, round(settings.longer * scale / usual))})


def join_scales(batches: Sequence[Batch]) -> Batch:
    """The first of some batches of the same pictures, with the others as its `rescaled`."""
    return replace(batches[0], rescaled=tuple(batches[1:]))


def mirror_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes [..., 4] in the mirror image of a picture of this width."""
    x1, y1, x2, y2 = boxes.unbind(dim=-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def mirror_batch(batch: Batch) -> Batch:
    """Every picture and its proposals in a mirror; the padding stays at the right. Targets are left out."""
    images = torch.zeros_like(batch.images)
    for place, image, (height, width) in zip(images, batch.images, batch.sizes, strict=True):
        place[:, :height, :width] = image[:, :height, :width].flip(-1)
    proposals = batch.proposals
    if proposals is not None:
        proposals = [mirror_boxes(boxes, width) for boxes, (_, width) in zip(proposals, batch.sizes, strict=True)]
    return replace(batch, images=images, proposals=proposals, targets=None, semantic=None, rescaled=())
