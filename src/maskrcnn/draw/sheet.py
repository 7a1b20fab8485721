"""Contact sheets: images in rows, what was annotated beside what was predicted."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..config import SCORE_THRESHOLD
from ..structures.classes import Classes
from ..structures.instances import Instances
from .images import scale_image
from .instances import draw_instances

TITLES = ("image", "annotated", "predicted")
GAP = 8
TITLE_SIZE = 16
PAPER = "white"
INK = (40, 40, 40)


class Row(NamedTuple):
    """One image of a sheet.

    Args:
        image: [3, H, W] uint8 RGB.
        annotated, predicted: Objects in the image's own pixels.
    """

    image: Tensor
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
    """Lay images out in three columns: bare, with annotated objects, with predicted objects.

    Every image is scaled so that its longer side is `tile` pixels, small ones without blurring their pixels.

    Args:
        rows: One per image; may be empty.
        classes: Names of the labels.
        score_threshold: Predictions below it are not drawn.
        titles: Of the three columns.
        tile: Side of the square an image has for itself.

    Returns:
        [3, H, W] uint8 RGB.
    """
    tiles = [_columns(row, classes, score_threshold, tile) for row in rows]
    heights = [images[0].height for images in tiles]
    width = len(titles) * (tile + GAP) + GAP
    sheet = Image.new("RGB", (width, 2 * TITLE_SIZE + sum(heights) + GAP * len(heights)), PAPER)
    _write_titles(sheet, titles, tile)
    top = 2 * TITLE_SIZE
    for images, height in zip(tiles, heights, strict=True):
        for column, image in enumerate(images):
            sheet.paste(image, (GAP + column * (tile + GAP) + (tile - image.width) // 2, top))
        top += height + GAP
    return F.pil_to_tensor(sheet)


def _columns(row: Row, classes: Classes, score_threshold: float, tile: int) -> list[Image.Image]:
    """The image bare, with its annotated and with its predicted objects, each `tile` pixels on its longer side."""
    scale = tile / max(row.image.shape[-2:])
    drawn = [
        draw_instances(row.image, instances, classes, score_threshold=score_threshold, scale=scale)
        for instances in (row.annotated[:], row.predicted[:])  # objects beside objects: a selection has no segments
    ]
    return [scale_image(F.to_pil_image(row.image.cpu()), scale), *map(F.to_pil_image, drawn)]


def _write_titles(sheet: Image.Image, titles: Sequence[str], tile: int) -> None:
    drawing, font = ImageDraw.Draw(sheet), ImageFont.load_default(TITLE_SIZE)
    for column, title in enumerate(titles):
        middle = GAP + column * (tile + GAP) + tile // 2
        drawing.text((middle, TITLE_SIZE), title, fill=INK, font=font, anchor="mm")
