"""Drawn pictures as files."""

from pathlib import Path

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..ops.atomic import replacing


def write_picture(path: Path, picture: Tensor) -> None:
    """Write a drawn picture as PNG, whole or not at all; missing folders are made.

    Args:
        path: The PNG file.
        picture: [3, H, W] uint8 RGB.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        F.to_pil_image(picture).save(temporary, format="PNG")


def scale_picture(picture: Image.Image, scale: float) -> Image.Image:
    """Resize a picture by one factor; small ones keep their pixels sharp."""
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)
