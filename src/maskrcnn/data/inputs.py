"""A picture to the network's input, and several inputs to a batch.

The size rule, the normalisation and the bilinear resize are those of torchvision's detection models
(torchvision/models/detection/transform.py, `GeneralizedRCNNTransform`), to the last bit.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..config import InputSettings
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.panoptic import UNKNOWN

STRIDE = 32
"""Batches are padded to a multiple of this many pixels, the coarsest stride of the backbone."""


def resized_size(size: tuple[int, int], settings: InputSettings, scale: float = 1.0) -> tuple[int, int]:
    """The size a picture has as the network's input.

    Args:
        size: (height, width) of the picture.
        settings: Its `shorter`, `longer` and `magnify` are used.
        scale: Further factor, of augmentation.

    Returns:
        (height, width), neither below 1.
    """
    factor = resize_factor(size, settings) * scale
    height, width = (max(1, math.floor(side * factor)) for side in size)
    return height, width


def resize_factor(size: tuple[int, int], settings: InputSettings) -> float:
    """How much larger a picture of `size` (height, width) is made for the network."""
    return min(settings.magnify or settings.shorter / min(size), settings.longer / max(size))


def stretch_brightness(picture: Tensor, percentiles: tuple[float, float]) -> Tensor:
    """Stretch a picture's brightness so that two percentiles of it become black and white.

    All three channels are stretched alike, so that colours keep their hue. A picture between whose percentiles there is
    no difference stays as it is.

    Args:
        picture: [3, H, W] uint8.
        percentiles: Lower and upper, in 0..100, of the values of all channels together.

    Returns:
        [3, H, W] uint8.
    """
    counts = torch.bincount(picture.flatten(), minlength=256).numpy()
    shares = np.cumsum(counts) / max(1, counts.sum())
    low = int(np.searchsorted(shares, percentiles[0] / 100, side="right"))
    high = int(np.searchsorted(shares, percentiles[1] / 100, side="left"))
    if high <= low:
        return picture
    table = ((np.arange(256) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    return torch.from_numpy(table[picture.numpy()])


def prepare_picture(
    picture: Tensor,
    settings: InputSettings,
    *,
    size: tuple[int, int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Stretch, normalise and resize one picture.

    Args:
        picture: [3, h, w] uint8 RGB.
        settings: How.
        size: (height, width) of the result; none: by the rule of `resized_size`.
        dtype: Of the result and of the computation.

    Returns:
        [3, H, W] float.
    """
    if settings.stretch is not None:
        picture = stretch_brightness(picture, settings.stretch)
    return resize(normalise(picture, settings, dtype), size or resized_size(_size(picture), settings))


def normalise(picture: Tensor, settings: InputSettings, dtype: torch.dtype = torch.float32) -> Tensor:
    """[3, h, w] uint8 to float with the mean and the deviation of the settings taken out."""
    mean, deviation = (
        torch.tensor(values, dtype=dtype)[:, None, None] for values in (settings.mean, settings.deviation)
    )
    return (picture.to(dtype) / 255 - mean) / deviation


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """[3, h, w] float to [3, *size], bilinear between pixel centres, without smoothing before it is made smaller."""
    if _size(image) == size:
        return image
    return functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def make_batch(
    images: Sequence[Tensor],
    picture_sizes: Sequence[tuple[int, int]],
    *,
    targets: Sequence[Instances] | None = None,
    semantic: Sequence[Tensor | None] | None = None,
    paths: Sequence[str] = (),
    image_ids: Sequence[int] = (),
) -> Batch:
    """Pad prepared pictures with 0 at the right and the bottom to one size, a multiple of 32.

    Args:
        images: At least one [3, h, w] float.
        picture_sizes: (height, width) of the pictures before they were prepared.
        semantic: [h, w] uint8 semantic map of each picture, or None if nothing of it is annotated; None: of no picture.
        targets, paths, image_ids: As in `Batch`.
    """
    sizes = [_size(image) for image in images]
    height, width = (math.ceil(max(sides) / STRIDE) * STRIDE for sides in zip(*sizes, strict=True))
    padded = images[0].new_zeros((len(images), 3, height, width)).to(memory_format=torch.channels_last)
    for place, image in zip(padded, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return Batch(
        images=padded,
        sizes=sizes,
        picture_sizes=list(picture_sizes),
        targets=None if targets is None else list(targets),
        semantic=None if semantic is None else _pad_maps(semantic, (height, width)),
        paths=tuple(paths),
        image_ids=tuple(image_ids),
    )


def _pad_maps(maps: Sequence[Tensor | None], size: tuple[int, int]) -> Tensor:
    padded = torch.full((len(maps), *size), UNKNOWN, dtype=torch.uint8)
    for place, values in zip(padded, maps, strict=True):
        if values is not None:
            place[: values.shape[0], : values.shape[1]] = values
    return padded


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
