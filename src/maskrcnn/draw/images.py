"""Drawn images: their size, that of what is drawn on them, and their files."""

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..ops.files import replacing

SMALLEST_FONT = 9


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
