"""Picture files of every kind to RGB bytes, as a person would see them."""

from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from ..errors import DataError

LIMITS = (255, 4095, 65535)
"""Largest values of 8, 12 and 16 bit pictures."""

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError)
"""What Pillow raises for broken files, by format."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def read_picture(path: Path | str) -> Tensor:
    """Read a picture file.

    The EXIF orientation is applied. Grey, palette, CMYK and 1-bit pictures become RGB; transparent pixels are laid on
    white. Pictures of more than 8 bits are scaled by the smallest range of 8, 12 or 16 bits that holds their largest
    value, so that 12-bit microscopy in a 16-bit file is not dark; floats also by 0..1. Values outside all of these are
    scaled from the picture's smallest to its largest. Of several pages, the first is read.

    Args:
        path: File of any format Pillow reads.

    Returns:
        [3, height, width] uint8 RGB.

    Raises:
        DataError: The file is missing, empty, cut off, or no picture.
    """
    try:
        with Image.open(path) as picture:
            rgb = _rgb(ImageOps.exif_transpose(picture), path)
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous()


def picture_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of the picture as `read_picture` returns it, from the file's header only.

    Raises:
        DataError: The file is missing, empty, or no picture.
    """
    try:
        with Image.open(path) as picture:
            sideways = picture.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
            return picture.size if sideways else picture.size[::-1]
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _rgb(picture: Image.Image, path: Path | str) -> Image.Image:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bits(np.array(picture), path)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _to_8_bits(values: np.ndarray, path: Path | str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError(
            f"{path}: the picture holds values that are not finite (NaN or infinity), but every pixel must be a "
            "number. Replace them, or save the picture with 8 or 16 bits."
        )
    ranges = (1, *LIMITS) if values.dtype.kind == "f" else LIMITS
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= ranges[-1]:
        low, high = 0.0, float(next(limit for limit in ranges if high <= limit))
    return ((values - low) * (255 / ((high - low) or 1))).round().astype(np.uint8)


def _unreadable(path: Path | str, error: Exception) -> DataError:
    file = Path(path)
    if not file.exists():
        return DataError(f"{path}: the picture is not there. Check its name and the folder of the pictures.")
    if file.is_dir():
        return DataError(f"{path}: this is a folder, but one picture file is needed here.")
    if file.stat().st_size == 0:
        return DataError(f"{path}: the picture file is empty (0 bytes). Copy or download it again.")
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            f"{path}: the picture has more pixels than is safe to read ({error}). Cut it into tiles, or, if you trust "
            "the file, raise PIL.Image.MAX_IMAGE_PIXELS."
        )
    return DataError(
        f"{path}: the file cannot be read as a picture ({error}). It is damaged, cut off, or of a format Pillow does "
        "not know; copy it again, or save it as PNG or JPEG."
    )
