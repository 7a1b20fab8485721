"""Random changes of a training picture, all drawn from torch's global random generator."""

import math

import torch
from torch import Tensor
from torchvision.transforms import v2

from ..config import AugmentSettings, InputSettings
from ..structures.instances import Instances
from .geometry import Geometry
from .inputs import normalise, resize, resize_factor, resized_size, stretch_brightness


def augment(
    picture: Tensor, instances: Instances, settings: AugmentSettings, inputs: InputSettings
) -> tuple[Tensor, Instances]:
    """Change a picture and its objects at random, and prepare it for the network.

    Brightness is stretched first, as it is for prediction. The random crop is taken before the colours change and the
    picture is resized, so that only pixels that are used are computed.

    Args:
        picture: [3, h, w] uint8 RGB.
        instances: Its annotated objects, with `ObjectMasks`.
        settings: What may change.
        inputs: How a picture becomes the network's input.

    Returns:
        [3, H, W] float32 input, and its objects in its pixels (no crowds) with `MaskCrops`.
    """
    if inputs.stretch is not None:
        picture = stretch_brightness(picture, inputs.stretch)
    geometry = draw_geometry(instances.size, settings, inputs)
    picture = change_colours(geometry.move_pixels(picture), settings)
    return resize(normalise(picture, inputs), geometry.size), geometry.move_objects(instances)


def draw_geometry(size: tuple[int, int], settings: AugmentSettings, inputs: InputSettings) -> Geometry:
    """Draw a crop, flips, quarter turns and a scale for a picture of `size` (height, width).

    The scale's logarithm is uniform, so that half and twice the size are equally likely. A crop is a square of the
    network's input; where the resized picture is smaller than it, the whole side is kept.
    """
    low, high = (math.log(factor) for factor in settings.scale)
    scale = math.exp(low + (high - low) * torch.rand(()).item())
    window, resized = (0, 0, size[1], size[0]), resized_size(size, inputs, scale)
    if settings.crop is not None:
        window, resized = _draw_crop(size, settings.crop, resize_factor(size, inputs) * scale)
    turns = int(torch.randint(4, ())) if settings.quarter_turns else 0
    return Geometry(
        window=window,
        mirrored=torch.rand(()).item() < settings.flip,
        upside_down=torch.rand(()).item() < settings.vertical_flip,
        turns=turns,
        size=resized[::-1] if turns % 2 else resized,
    )


def change_colours(picture: Tensor, settings: AugmentSettings) -> Tensor:
    """Random brightness, contrast, saturation and hue, and now and then the negative, of [3, h, w] uint8."""
    jitter = v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue)
    return v2.Compose([jitter, v2.RandomInvert(settings.invert)])(picture)


def _draw_crop(size: tuple[int, int], crop: int, factor: float) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Window x, y, width, height of the picture that fills a crop after it is resized, and its resized size."""
    sides = [min(side, math.ceil(crop / factor)) for side in size]
    top, left = (int(torch.randint(side - kept + 1, ())) for side, kept in zip(size, sides, strict=True))
    height, width = (
        crop if kept < side else min(crop, max(1, math.floor(side * factor)))
        for side, kept in zip(size, sides, strict=True)
    )
    return (left, top, sides[1], sides[0]), (height, width)
