"""Contact sheets: pictures in rows, what was annotated beside what was predicted."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..config import SCORE_THRESHOLD
from ..structures.classes import Classes
from ..structures.instances import Instances
from .instances import draw_instances
from .images import scale_picture

TITLES = ("picture", "annotated", "predicted")
GAP = 8
TITLE_SIZE = 16
PAPER = "white"
INK = (40, 40, 40)


class Row(NamedTuple):
    """One picture of a sheet.

    Args:
        picture: [3, H, W] uint8 RGB.
        annotated, predicted: Objects in the picture's own pixels.
    """

    picture: Tensor
    annotated: Instances
    predicted: Instances


def draw_sheet(
    rows: Sequence[Row],
    classes: Classes,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    titles: Sequence[str] = TITLES,
    tile: int = 320,
) -> Tensor:
    """Lay pictures out in three columns: bare, with annotated objects, with predicted objects.

    Every picture is scaled so that its longer side is `tile` pixels, small ones without blurring their pixels.

    Args:
        rows: One per picture; may be empty.
        classes: Names of the labels.
        score_threshold: Predictions below it are not drawn.
        titles: Of the three columns.
        tile: Side of the square a picture has for itself.

    Returns:
        [3, H, W] uint8 RGB.
    """
    tiles = [_columns(row, classes, score_threshold, tile) for row in rows]
    heights = [pictures[0].height for pictures in tiles]
    width = len(titles) * (tile + GAP) + GAP
    sheet = Image.new("RGB", (width, 2 * TITLE_SIZE + sum(heights) + GAP * len(heights)), PAPER)
    _write_titles(sheet, titles, tile)
    top = 2 * TITLE_SIZE
    for pictures, height in zip(tiles, heights, strict=True):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (GAP + column * (tile + GAP) + (tile - picture.width) // 2, top))
        top += height + GAP
    return F.pil_to_tensor(sheet)


def _columns(row: Row, classes: Classes, score_threshold: float, tile: int) -> list[Image.Image]:
    """The picture bare, with its annotated and with its predicted objects, each `tile` pixels on its longer side."""
    scale = tile / max(row.picture.shape[-2:])
    drawn = [
        draw_instances(row.picture, instances, classes, score_threshold=score_threshold, scale=scale)
        for instances in (row.annotated[:], row.predicted[:])  # objects beside objects: a selection has no segments
    ]
    return [scale_picture(F.to_pil_image(row.picture.cpu()), scale), *map(F.to_pil_image, drawn)]


def _write_titles(sheet: Image.Image, titles: Sequence[str], tile: int) -> None:
    drawing, font = ImageDraw.Draw(sheet), ImageFont.load_default(TITLE_SIZE)
    for column, title in enumerate(titles):
        middle = GAP + column * (tile + GAP) + tile // 2
        drawing.text((middle, TITLE_SIZE), title, fill=INK, font=font, anchor="mm")
