"""An image to the network's input, and several inputs to a batch.

With `resize: float`, the size rule, the normalization and the bilinear resize are those of torchvision's detection
models (torchvision/models/detection/transform.py, `GeneralizedRCNNTransform`), to the last bit in float64; with
`pillow` those of detectron2 (`ResizeShortestEdge`), with `opencv` those of mmdetection (mmcv's `imrescale`).

Images are tensors [C, h, w] whose memory holds the channels of a pixel side by side, as in files and in the network:
nothing is rearranged on the way. Other layouts are read as well, with a copy.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..config import InputSettings
from ..errors import DataError
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..structures.panoptic import UNKNOWN
from .pixel_limit import require_pixels

MOST_CHANNELS = 128
"""That OpenCV takes at once."""


def resized_size(size: tuple[int, int], settings: InputSettings, scale: float = 1.0) -> tuple[int, int]:
    """The size an image has as the network's input.

    Args:
        size: (height, width) of the image.
        settings: Its `min_size`, `max_size`, `scale_factor` and `resize` are used.
        scale: Further factor, of augmentation.

    Returns:
        (height, width), neither below 1.
    """
    factor = resize_factor(size, settings) * scale
    sides = [side * factor for side in size]
    if settings.resize == "pillow" and settings.scale_factor is None:
        # In two steps, as in detectron2: which way a half is rounded hangs on the last bit.
        least = min(size)
        enlarged = [settings.min_size if side == least else settings.min_size / least * side for side in size]
        limit = settings.max_size / max(enlarged) if max(enlarged) > settings.max_size else 1.0
        sides = [side * limit * scale for side in enlarged]
    height, width = (round_side(side, settings) for side in sides)
    return height, width


def resize_factor(size: tuple[int, int], settings: InputSettings) -> float:
    """How much larger an image of `size` (height, width) is made for the network."""
    return min(settings.scale_factor or settings.min_size / min(size), settings.max_size / max(size))


def round_side(side: float, settings: InputSettings) -> int:
    """Whole pixels of a resized side, at least 1: rounded down, or to the nearest where bytes are resized."""
    return max(1, math.floor(side if settings.resize == "float" else side + 0.5))


def stretch_brightness(image: Tensor, percentiles: tuple[float, float]) -> Tensor:
    """Stretch an image's brightness so that two percentiles of it become black and white.

    All channels are stretched alike, so that colors keep their hue. An image between whose percentiles there is
    no difference stays as it is.

    Args:
        image: [C, H, W] uint8.
        percentiles: Lower and upper, in 0..100, of the values of all channels together.

    Returns:
        [C, H, W] uint8.
    """
    counts = torch.bincount(image.flatten(), minlength=256).numpy()
    shares = np.cumsum(counts) / max(1, counts.sum())
    low = int(np.searchsorted(shares, percentiles[0] / 100, side="right"))
    high = int(np.searchsorted(shares, percentiles[1] / 100, side="left"))
    if high <= low:
        return image
    table = ((np.arange(256) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    return torch.from_numpy(table[image.numpy()])


def prepare_image(
    image: Tensor, settings: InputSettings, *, size: tuple[int, int] | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Stretch, normalize and resize one image.

    Args:
        image: [C, h, w] uint8, red, green and blue where there are three.
        settings: How.
        size: (height, width) of the result, which may be the image's own; none: by the rule of `resized_size`.
        dtype: Of the result and of the computation.

    Returns:
        [C, H, W] float.

    Raises:
        DataError: The image has other channels than the settings, or becomes too large.
    """
    if settings.stretch is not None:
        image = stretch_brightness(image, settings.stretch)
    return resize_and_normalize(image, settings, size or resized_size(_size(image), settings), dtype)


def resize_and_normalize(
    pixels: Tensor, settings: InputSettings, size: tuple[int, int], dtype: torch.dtype = torch.float32
) -> Tensor:
    """[C, h, w] uint8 to float [C, *size], in the order of steps, and of channels, that the settings name."""
    require_pixels(f"input.min_size={settings.min_size}, input.max_size={settings.max_size}", size)
    if len(pixels) != settings.channels:
        raise DataError(
            f"the image has {len(pixels)} channels, but the network sees {settings.channels}: input.mean has "
            f"{settings.channels} values. Give images of {settings.channels} channels, or train a model whose "
            f"input.mean and input.std have {len(pixels)} values each."
        )
    if settings.resize == "float":
        image = resize(normalize(pixels, settings, dtype), size)
    else:
        image = normalize(resize_bytes(pixels, size, settings.resize), settings, dtype)
    return image.flip(0) if settings.channel_order == "bgr" else image


def normalize(image: Tensor, settings: InputSettings, dtype: torch.dtype = torch.float32) -> Tensor:
    """[C, h, w] uint8 to float with the mean and the deviation of the settings taken out."""
    mean, deviation = (torch.tensor(values, dtype=dtype) for values in (settings.mean, settings.std))
    table = (torch.arange(256, dtype=dtype)[:, None] / 255 - mean) / deviation
    parts = zip(image.split(MOST_CHANNELS), table.split(MOST_CHANNELS, dim=1), strict=True)
    return _joined([_tensor(cv2.LUT(_array(part), own.contiguous().numpy()[None])) for part, own in parts])


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """[C, h, w] float to [C, *size], bilinear between pixel centers, without smoothing before it is made smaller.

    In float64 the result is torch's. In float32 it is OpenCV's, which is much nearer to that than torch's own: torch
    computes in float32 where a pixel comes from, OpenCV in float64.
    """
    if _size(image) == size:
        return image
    if image.dtype == torch.float32:
        return _resize_by_opencv(image, size)
    return functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def resize_bytes(image: Tensor, size: tuple[int, int], method: str) -> Tensor:
    """[C, h, w] uint8 to [C, *size] uint8, bilinear.

    Args:
        image: Of any number of channels.
        size: (height, width).
        method: `pillow` smooths before an image is made smaller, `opencv` does not.
    """
    if _size(image) == size:
        return image
    if method == "opencv":
        return _resize_by_opencv(image, size)
    planes = [Image.fromarray(plane.numpy()).resize(size[::-1], Image.Resampling.BILINEAR) for plane in image]
    return _tensor(np.stack([np.asarray(plane) for plane in planes], axis=-1))


def _resize_by_opencv(image: Tensor, size: tuple[int, int]) -> Tensor:
    parts = image.split(MOST_CHANNELS)
    return _joined([_tensor(cv2.resize(_array(one), size[::-1], interpolation=cv2.INTER_LINEAR)) for one in parts])


def _joined(parts: list[Tensor]) -> Tensor:
    """One tensor of all channels."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _array(image: Tensor) -> np.ndarray:
    """[C, h, w] to [h, w, C], as OpenCV has it."""
    return image.permute(1, 2, 0).numpy()


def _tensor(array: np.ndarray) -> Tensor:
    """[h, w, C], or [h, w] for one channel, to [C, h, w]."""
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def make_batch(
    images: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]],
    *,
    size_divisible: int,
    targets: Sequence[Instances] | None = None,
    proposals: Sequence[Tensor] | None = None,
    semantic: Sequence[Tensor | None] | None = None,
    paths: Sequence[str] = (),
    image_ids: Sequence[int] = (),
) -> Batch:
    """Pad prepared images with 0 at the right and the bottom to one size.

    Args:
        images: At least one [C, h, w] float.
        image_sizes: (height, width) of the images before they were prepared.
        size_divisible: Number of pixels that both sides of the batch become a multiple of.
        semantic: [h, w] uint8 semantic map of each image, or None if nothing of it is annotated; None: of no image.
        targets, proposals, paths, image_ids: As in `Batch`.
    """
    sizes = [_size(image) for image in images]
    height, width = (math.ceil(max(sides) / size_divisible) * size_divisible for sides in zip(*sizes, strict=True))
    padded = images[0].new_zeros((len(images), height, width, len(images[0]))).permute(0, 3, 1, 2)
    for place, image in zip(padded, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return Batch(
        images=padded,
        sizes=sizes,
        image_sizes=list(image_sizes),
        targets=None if targets is None else list(targets),
        proposals=None if proposals is None else list(proposals),
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
