"""Drawn images: their size, that of what is drawn on them, and their files."""

import colorsys
import math
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..ops.files import replacing

SMALLEST_FONT = 9
Color = tuple[int, int, int]
GOLDEN_RATIO = 0.618033988749895
FIRST_HUE = 0.57
TONES = ((0.80, 1.00), (0.55, 1.00), (0.95, 0.90))  # saturation and value, in turn
LEAST_LUMINANCE = 95  # of 255, so that blue can be seen on black
GRAY: Color = (150, 150, 150)
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
Rectangle = tuple[float, float, float, float]
WIDEST = 4  # times as wide as its object a label may be
HIGHEST = 2


def write_image(path: Path, image: Tensor) -> None:
    """Write a drawn image as PNG, whole or not at all; missing folders are made.

    Args:
        path: The PNG file.
        image: [3, H, W] uint8 RGB.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        F.to_pil_image(image).save(temporary, format="PNG")


def scale_image(image: Image.Image, scale: float) -> Image.Image:
    """Resize an image by one factor; small ones keep their pixels sharp."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)


def line_width(size: tuple[int, int] | torch.Size) -> int:
    """Width of polygons in pixels that suits an image of `size` (height, width)."""
    return max(1, round(math.sqrt(size[0] * size[1]) / 350))


def font_size(size: tuple[int, int] | torch.Size) -> int:
    """Height of letters in pixels that suits an image of `size` (height, width)."""
    return max(SMALLEST_FONT, round(math.sqrt(size[0] * size[1]) / 40))


def object_colors(count: int) -> list[Color]:
    """Bright colors whose hues lie far from those of the few before; the n-th is the same for every count.

    Steps of the golden ratio around the circle of hues never come back to the same place, and each next one falls into
    the widest gap.
    """
    return [_bright((FIRST_HUE + number * GOLDEN_RATIO) % 1, *TONES[number % len(TONES)]) for number in range(count)]


def luminance(color: Color) -> float:
    """How bright a color looks, 0 to 255 (Rec. 601)."""
    red, green, blue = color
    return 0.299 * red + 0.587 * green + 0.114 * blue


def readable_on(color: Color) -> Color:
    """Black or white, whichever is easier to read on a color."""
    return BLACK if luminance(color) > 140 else WHITE


def _bright(hue: float, saturation: float, value: float) -> Color:
    """A color mixed with as much white as it needs to be seen on black."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    luminous = luminance((red, green, blue))
    white = max(0.0, (LEAST_LUMINANCE - luminous) / (255 - luminous))
    red, green, blue = (round(part + white * (255 - part)) for part in (red, green, blue))
    return red, green, blue


class Label(NamedTuple):
    """A text for one object.

    Args:
        text: What it says.
        box: x1, y1, x2, y2 of the object.
        color: The object's.
        needed: It is written even if it is much larger than its object.
    """

    text: str
    box: Rectangle
    color: Color
    needed: bool = False


def draw_labels(canvas: Image.Image, labels: list[Label], font_size: int) -> None:
    """Write each label at its object, where it covers neither an earlier label nor leaves the image.

    A label goes above its object or else into it, at the top or at the bottom. One that finds no room, or is much
    larger than its object and not needed, is left out, so that a crowded image stays readable.

    Args:
        canvas: RGB image, drawn into.
        labels: The most important first.
        font_size: In pixels.
    """
    drawing = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(font_size)
    taken: list[Rectangle] = []
    for label in labels:
        place = _place(label, drawing.textbbox((0, 0), label.text, font=font), canvas.size, font_size, taken)
        if place is not None:
            taken.append(place)
            drawing.rectangle(place, fill=label.color)
            middle = ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
            drawing.text(middle, label.text, fill=readable_on(label.color), font=font, anchor="mm")


def _place(
    label: Label, extent: Rectangle, canvas: tuple[int, int], font_size: int, taken: list[Rectangle]
) -> Rectangle | None:
    """First free place of a label's rectangle.

    Args:
        extent: Rectangle of the bare text.
        canvas: (width, height) of the image.
        taken: Rectangles of the labels drawn before.
    """
    width, height = extent[2] - extent[0] + 0.5 * font_size, 1.3 * font_size
    x1, y1, x2, y2 = label.box
    if not label.needed and (width > WIDEST * (x2 - x1) or height > HIGHEST * (y2 - y1)):
        return None
    for x, y in ((x1, y1 - height), (x1, y1), (x1, y2 - height), (x2 - width, y1), (x2 - width, y2 - height)):
        left = max(0.0, min(x, canvas[0] - 1 - width))
        place = (left, y, left + width, y + height)
        if y >= 0 and place[3] < canvas[1] and not any(_touch(place, other) for other in taken):
            return place
    return None


def _touch(one: Rectangle, other: Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
