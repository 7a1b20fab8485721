"""Random changes of a training image, all drawn from torch's global random generator."""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torchvision.transforms import v2

from ..config import AugmentSettings, InputSettings
from ..structures.classes import KeypointSchema
from ..structures.instances import Instances
from .geometry import Geometry
from .preprocessing import resize_and_normalize, resize_factor, resized_size, round_side, stretch_brightness


class Augment(Protocol):
    """A change of one's own: a function of an image [C, h, w] uint8 (RGB where C is 3) and its objects in its pixels.

    It gives both changed. What it draws from the generators of torch, numpy and `random` follows from the run's seed.
    """

    def __call__(self, image: Tensor, objects: Instances, /) -> tuple[Tensor, Instances]: ...


class Augmented(NamedTuple):
    """An image ready for training.

    Args:
        image: [C, H, W] float32 input of the network.
        target: Its objects in its pixels (no crowds) with `MaskCrops`.
        semantic: [H, W] uint8 semantic map, if the image has one.
        proposals: Boxes [P, 4] in its pixels, if the image brings them along.
    """

    image: Tensor
    target: Instances
    semantic: Tensor | None
    proposals: Tensor | None


def augment(
    image: Tensor,
    instances: Instances,
    settings: AugmentSettings,
    inputs: InputSettings,
    keypoint_schema: KeypointSchema | None = None,
    semantic: Tensor | None = None,
    proposals: Tensor | None = None,
) -> Augmented:
    """Change an image and its objects at random, and prepare it for the network.

    Brightness is stretched first, as it is for prediction. The random crop is taken before the colors change and the
    image is resized, so that only pixels that are used are computed.

    Args:
        image: [C, h, w] uint8, red, green and blue where there are three.
        instances: Its annotated objects, with `ObjectMasks`.
        settings: What may change.
        inputs: How an image becomes the network's input.
        keypoint_schema: Of the objects' keypoints, if they have any.
        semantic: [h, w] uint8 semantic map of the image, if it has one.
        proposals: Boxes [P, 4] in the image's pixels, if it brings them along.
    """
    if inputs.stretch is not None:
        image = stretch_brightness(image, inputs.stretch)
    objects = instances if instances.crowd is None else instances[~instances.crowd]
    geometry = draw_geometry(instances.size, settings, inputs, objects.boxes)
    image = change_colors(geometry.move_pixels(image), settings)
    return Augmented(
        resize_and_normalize(image, inputs, geometry.size),
        geometry.move_objects(instances, keypoint_schema),
        None if semantic is None else geometry.move_map(semantic),
        None if proposals is None else geometry.move_proposals(proposals),
    )


def draw_geometry(
    size: tuple[int, int], settings: AugmentSettings, inputs: InputSettings, boxes: Tensor | None = None
) -> Geometry:
    """Draw a crop, flips, quarter turns and a scale for an image of `size` (height, width).

    The scale's logarithm is uniform, so that half and twice the size are equally likely. A crop is a square of the
    network's input; where the resized image is smaller than it, the whole side is kept. One that is to hold an object
    lies anywhere where it does, or inside of it where the object is the longer one.

    Args:
        size: Of the image.
        settings: What may change.
        inputs: How large an image becomes.
        boxes: [N, 4] of the objects that a crop may be asked to hold; None: none.
    """
    low, high = (math.log(factor) for factor in settings.scale)
    scale = math.exp(low + (high - low) * torch.rand(()).item())
    window, resized = (0, 0, size[1], size[0]), resized_size(size, inputs, scale)
    if settings.crop is not None:
        held = _draw_box(boxes, settings.crop_on_object)
        window, resized = _draw_crop(size, settings.crop, resize_factor(size, inputs) * scale, held, inputs)
    turns = int(torch.randint(4, ())) if settings.rotate90 else 0
    return Geometry(
        window=window,
        mirrored=torch.rand(()).item() < settings.horizontal_flip,
        upside_down=torch.rand(()).item() < settings.vertical_flip,
        turns=turns,
        size=resized[::-1] if turns % 2 else resized,
    )


def change_colors(image: Tensor, settings: AugmentSettings) -> Tensor:
    """Random brightness, contrast, saturation and hue, and now and then the negative, of [C, h, w] uint8.

    Only three channels are colors; others change alike in brightness and contrast, each as a gray image.
    """
    if not any((settings.brightness, settings.contrast, settings.saturation, settings.hue, settings.invert)):
        return image
    jitter = v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue)
    change = v2.Compose([jitter, v2.RandomInvert(settings.invert)])
    return change(image) if len(image) == 3 else change(image[:, None])[:, 0]


def _draw_box(boxes: Tensor | None, probability: float) -> list[float] | None:
    """x1, y1, x2, y2 of a random box, with some probability; None otherwise, and where there is no box."""
    if boxes is None or not len(boxes) or not probability or torch.rand(()).item() >= probability:
        return None
    return boxes[int(torch.randint(len(boxes), ()))].tolist()


def _draw_crop(
    size: tuple[int, int], crop: int, factor: float, held: list[float] | None, inputs: InputSettings
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Window x, y, width, height of the image that fills a crop after it is resized, and its resized size."""
    sides = [min(side, math.ceil(crop / factor)) for side in size]
    spans = [(held[1], held[3]), (held[0], held[2])] if held else [None, None]
    top, left = (_draw_start(side, kept, span) for side, kept, span in zip(size, sides, spans, strict=True))
    height, width = (
        crop if kept < side else min(crop, round_side(side * factor, inputs))
        for side, kept in zip(size, sides, strict=True)
    )
    return (left, top, sides[1], sides[0]), (height, width)


def _draw_start(side: int, kept: int, span: tuple[float, float] | None) -> int:
    """Where a window of `kept` pixels begins on a side: around a span, inside of it if that is longer, or anywhere."""
    first, last = 0, side - kept
    if span is not None:
        low, high = sorted((math.ceil(span[1]) - kept, math.floor(span[0])))
        first, last = max(first, low), min(last, high)
    return first + int(torch.randint(last - first + 1, ()))
