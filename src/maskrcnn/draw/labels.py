"""Small text tags beside objects that leave each other room."""

from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from .colors import Color, readable_on

Rectangle = tuple[float, float, float, float]

WIDEST = 4  # times as wide as its object a label may be
HIGHEST = 2


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
