"""Images with what was annotated beside what was predicted, errors in colors of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.ops import box_area
from torchvision.transforms.v2 import functional as F

from ..structures.classes import KeypointSchema
from ..structures.instances import Instances
from .images import GRAY, Color, scale_image
from .instances import Mark, paint_instances

COLORS: dict[str, Color] = {
    "right": (70, 215, 95),
    "classification": (205, 120, 255),
    "localization": (255, 165, 30),
    "class_and_place": (255, 125, 175),
    "duplicate": (250, 235, 60),
    "background": (255, 70, 60),
    "missed": (60, 185, 255),
    "ignored": GRAY,
}
"""By what became of an object."""
PAPER = "white"
INK = (40, 40, 40)
GAP = 12
FONT = 16
LINE = 22
FEW_NAMED = 30
"""Right objects are only labeled where there are no more than these in an image."""


COUNTED = "annotated | predicted:"
POLYGON = 2.5
"""Width of polygons, in pixels of the drawing."""
ABOVE_ALL = 1e12
"""More important than any area or score."""


class DrawnObjects(NamedTuple):
    """Objects of one image, annotated or predicted, and what became of each.

    Args:
        instances: N objects in the image's own pixels.
        statuses: N keys of `COLORS`.
        texts: N labels; "" for none.
    """

    instances: Instances
    statuses: Sequence[str]
    texts: Sequence[str]


class ErrorPage(NamedTuple):
    """An image with errors.

    Args:
        title: Its name.
        words: What went wrong.
        image: [3, H, W] uint8 RGB.
        annotated, predicted: Its objects.
        headings: Over the two.
        names: Of the kinds of errors, for the legend.
        keypoint_schema: How keypoints are joined; None: they are not drawn.
    """

    title: str
    words: str
    image: Tensor
    annotated: DrawnObjects
    predicted: DrawnObjects
    headings: tuple[str, str]
    names: Mapping[str, str]
    keypoint_schema: KeypointSchema | None = None


def draw_error_page(page: ErrorPage, *, tile: int = 720) -> Tensor:
    """Draw an image twice, with its annotated and with its predicted objects, under words and over a legend.

    Args:
        page: What is drawn.
        tile: Longer side of each of the two, in pixels.

    Returns:
        [3, h, w] uint8 RGB.
    """
    scale = tile / max(page.image.shape[-2:])
    sides = [_paint(page, objects, scale) for objects in (page.annotated, page.predicted)]
    width = max(2 * sides[0].width + 3 * GAP, tile)
    words = _wrapped(page.words, width - 2 * GAP, FONT)
    legend = _legend(page, width)
    top = 2 * GAP + LINE * (2 + len(words))
    sheet = Image.new("RGB", (width, top + sides[0].height + GAP + legend.height), PAPER)
    drawing = ImageDraw.Draw(sheet)
    _write(drawing, (GAP, GAP), _shortened(page.title, width - 2 * GAP, FONT + 4), FONT + 4)
    for number, line in enumerate(words, start=1):
        _write(drawing, (GAP, GAP + number * LINE), line, FONT)
    for column, (side, heading) in enumerate(zip(sides, page.headings, strict=True)):
        left = GAP + column * (sides[0].width + GAP)
        _write(drawing, (left, top - LINE), heading, FONT)
        sheet.paste(side, (left, top))
    sheet.paste(legend, (0, top + sides[0].height + GAP))
    return F.pil_to_tensor(sheet)


class Entry(NamedTuple):
    """A line of the index: a drawn page, its name and what went wrong there."""

    page: Tensor
    title: str
    words: str


def draw_error_index(entries: Sequence[Entry], *, title: str, page_width: int = 480) -> Tensor:
    """Lay drawn pages out below each other, small, each with its words to the right.

    Args:
        entries: The worst first; may be empty.
        title: Over all of them.
        page_width: In pixels.

    Returns:
        [3, h, w] uint8 RGB.
    """
    rows, room = [], page_width - 2 * GAP
    for entry in entries:
        small = scale_image(F.to_pil_image(entry.page), page_width / entry.page.shape[-1])
        lines = [_shortened(entry.title, room, FONT + 2), *_wrapped(entry.words, room, FONT)]
        rows.append((small, lines, max(small.height, LINE * len(lines))))
    sheet = Image.new("RGB", (2 * page_width + GAP, 3 * GAP + LINE + sum(row[2] + GAP for row in rows)), PAPER)
    drawing = ImageDraw.Draw(sheet)
    _write(drawing, (GAP, GAP), title, FONT + 4)
    top = 2 * GAP + LINE
    for small, lines, height in rows:
        sheet.paste(small, (GAP, top))
        for number, line in enumerate(lines):
            _write(drawing, (page_width + 2 * GAP, top + number * LINE), line, FONT + 2 if number == 0 else FONT)
        top += height + GAP
    return F.pil_to_tensor(sheet)


def _paint(page: ErrorPage, objects: DrawnObjects, scale: float) -> Image.Image:
    """One of the two images; errors are tinted, drawn after what is right and labeled first."""
    right = [status == "right" for status in objects.statuses]
    named = sum(right) <= FEW_NAMED
    ranks = box_area(objects.instances.boxes) if objects.instances.scores is None else objects.instances.scores
    marks = []
    for status, text, rank in zip(objects.statuses, objects.texts, ranks.tolist(), strict=True):
        wrong = status not in ("right", "ignored")
        marks.append(
            Mark(COLORS[status], text if wrong or named else "", rank + wrong * ABOVE_ALL, tinted=wrong, needed=wrong)
        )
    order = sorted(range(len(marks)), key=lambda i: marks[i].tinted)
    painted = paint_instances(
        page.image,
        objects.instances[torch.tensor(order, dtype=torch.int64)],
        [marks[i] for i in order],
        keypoint_schema=page.keypoint_schema,
        scale=scale,
        line=max(1, round(POLYGON / scale)),
    )
    return F.to_pil_image(painted)


def _legend(page: ErrorPage, width: int) -> Image.Image:
    """A square of each color that was used, with its name and how many objects have it on each side."""
    sides = page.annotated.statuses, page.predicted.statuses
    there = [status for status in COLORS if any(status in statuses for statuses in sides)]
    font = _font(FONT)
    places, left, top = [], GAP + round(font.getlength(COUNTED)) + LINE, 0
    for status in there:
        annotated, predicted = (list(statuses).count(status) for statuses in sides)
        text = f"{page.names.get(status, status)}  {annotated} | {predicted}"
        length = round(font.getlength(text)) + 2 * LINE
        if left > GAP and left + length > width:
            left, top = GAP, top + LINE
        places.append((status, text, left, top))
        left += length
    legend = Image.new("RGB", (width, top + LINE + GAP), PAPER)
    drawing = ImageDraw.Draw(legend)
    if places:
        _write(drawing, (GAP, 0), COUNTED, FONT)
    for status, text, x, y in places:
        drawing.rectangle((x, y + 2, x + FONT, y + 2 + FONT), fill=COLORS[status], outline=INK)
        _write(drawing, (x + LINE, y), text, FONT)
    return legend


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write(drawing: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int) -> None:
    drawing.text(place, text, fill=INK, font=_font(size))


def _shortened(text: str, width: int, size: int) -> str:
    """As much of the start as fits into so many pixels."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    fits = [end for end in range(len(text)) if font.getlength(text[:end] + "...") <= width]
    return text[: max(fits, default=0)] + "..."


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines that are at most so many pixels wide, where words allow."""
    font = _font(size)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
