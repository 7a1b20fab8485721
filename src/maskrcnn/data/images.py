"""Image files of every kind to bytes: RGB as a person would see them, as many channels as a model needs, or as stored.

Every image file of the library is opened by `open_image`, which says what is wrong with a broken one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import DataError

IMAGES = (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
"""How the names of image files end, in small letters."""

RGB = 3

LIMITS = (255, 4095, 65535)
"""Largest values of 8, 12 and 16 bit images."""

UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError),
    Image.DecompressionBombError,
)
"""What Pillow raises for broken files, by format."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

ImageInput = str | Path | np.ndarray | Tensor | Image.Image
"""A file, an array [H, W, C] or [H, W], a tensor [C, H, W], or a Pillow image."""


@contextmanager
def open_image(file: Path | str | IO[bytes], *, name: str | None = None) -> Iterator[Image.Image]:
    """An image file as Pillow opens it; pixels are read inside the `with`.

    Args:
        file: A path, or the bytes of a file.
        name: Of what bytes belong to, for messages.

    Raises:
        DataError: The file is missing, empty, cut off or no image, whether Pillow finds out at once or when it reads
            the pixels.
    """
    try:
        with Image.open(file) as image:
            yield image
    except UNREADABLE as error:
        if isinstance(file, str | Path):
            raise _unreadable(file, error) from error
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name}: cannot be read as an image ({reason}). Write it again.") from error


def read_pixels(file: Path | str | IO[bytes], mode: str | None = None, *, name: str | None = None) -> np.ndarray:
    """The values of an image file as they are stored, for maps of labels: a palette's numbers, 16 bits.

    Args:
        file, name: As for `open_image`.
        mode: One of Pillow's that they are converted to, such as "RGB" or "L"; None: the file's own.

    Returns:
        [H, W] or [H, W, C].

    Raises:
        DataError: As `open_image`.
    """
    with open_image(file, name=name) as image:
        return np.array(image if mode is None else image.convert(mode))


def read_image(path: Path | str, channels: int | None = None) -> Tensor:
    """Read an image file.

    The EXIF orientation is applied. Gray, palette, CMYK and 1-bit images become RGB; transparent pixels are laid on
    white. Images of more than 8 bits are scaled by the smallest range of 8, 12 or 16 bits that holds their largest
    value, so that 12-bit microscopy in a 16-bit file is not dark; floats also by 0..1. Values outside all of these are
    scaled from the image's smallest to its largest. Of several pages, the first is read.

    Two, four or more channels are read as they are in the file, which is a TIFF with one gray page per channel, or has
    so many values per pixel. All channels are scaled to 8 bits alike; the orientation is left as it is.

    Args:
        path: File of any format Pillow reads; for two, four or more channels one that OpenCV reads.
        channels: 3 or none for RGB, 1 for gray, or another number for the file's own channels.

    Returns:
        [channels, height, width] uint8.

    Raises:
        DataError: The file is missing, empty, cut off, or no image, or has another number of channels.
    """
    if channels not in (None, 1, 3):
        return torch.from_numpy(_read_channels(path, channels))
    with open_image(path) as image:
        return _of_pillow(image, channels, path)


def load_image(image: ImageInput, channels: int | None = None) -> Tensor:
    """[channels, H, W] uint8 of whatever somebody has an image in.

    Args:
        image: A file, read as by `read_image`; a Pillow image, taken as the file that it may come from; an array
            [H, W, channels] or a tensor [channels, H, W], both uint8, red, green, blue where there are three. Gray
            arrays [H, W] become three equal channels where three are needed.
        channels: That are needed; None: 3.

    Raises:
        DataError: The file cannot be read; or another type, shape or number of channels, such as floats in 0..1.
    """
    channels = channels or RGB
    if isinstance(image, str | Path):
        return read_image(image, channels)
    if isinstance(image, Image.Image):
        if channels in (1, RGB):
            return _of_pillow(image.copy(), channels, "the image")
        image = np.array(image)
    given = image
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim in (2, 3):
        gray = image.ndim == 2
        values = np.repeat(image[..., None], RGB if channels == RGB else 1, axis=2) if gray else image
        usable = values.flags.writeable and min(values.strides) >= 0  # else torch warns, or refuses them
        image = torch.from_numpy(values if usable else values.copy()).permute(2, 0, 1)
    if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3 or len(image) != channels:
        raise _wrong_image(given, channels)
    return image


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of the image as `read_image` returns it, from the file's header only.

    Raises:
        DataError: The file is missing, empty, or no image.
    """
    with open_image(path) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
        return image.size if sideways else image.size[::-1]


def _read_channels(path: Path | str, channels: int) -> np.ndarray:
    """[channels, H, W] uint8 of all pages and values of a file."""
    height, width = image_size(path)
    try:
        read, pages = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _unreadable(path, error) from error
    if not read or {page.shape[:2] for page in pages} - {(height, width), (width, height)}:
        raise _unreadable(path, ValueError(f"OpenCV finds no pages of {width} x {height} px in it"))
    planes = [_planes(page) for page in pages]
    found = sum(len(plane) for plane in planes)
    if found != channels:
        raise DataError(
            f"{path}: the image has {found} channels (pages: {len(pages)}), but {channels} are needed. Save it as a "
            f"TIFF of {channels} gray pages, or use a model whose input.mean has {found} values."
        )
    return _to_8_bits(np.concatenate(planes), path)


def _planes(page: np.ndarray) -> np.ndarray:
    """[C, H, W] of one page; OpenCV has blue before green and red."""
    if page.ndim == 2:
        return page[None]
    order = [2, 1, 0, *range(3, page.shape[2])] if page.shape[2] > 2 else range(page.shape[2])
    return page.transpose(2, 0, 1)[list(order)]


def _of_pillow(image: Image.Image, channels: int | None, source: Path | str) -> Tensor:
    """[3 or 1, H, W] uint8, upright."""
    ImageOps.exif_transpose(image, in_place=True)
    rgb = _rgb(image, source)
    if channels == 1:
        return torch.from_numpy(np.array(rgb.convert("L")))[None]
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bits(np.array(image), path)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _to_8_bits(values: np.ndarray, path: Path | str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError(
            f"{path}: the image holds values that are not finite (NaN or infinity), but every pixel must be a "
            "number. Replace them, or save the image with 8 or 16 bits."
        )
    ranges = (1, *LIMITS) if values.dtype.kind == "f" else LIMITS
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= ranges[-1]:
        low, high = 0.0, float(next(limit for limit in ranges if high <= limit))
    return ((values - low) * (255 / ((high - low) or 1))).round().astype(np.uint8)


def _unreadable(path: Path | str, error: Exception) -> DataError:
    file = Path(path)
    if not file.exists():
        return DataError(f"{path}: the image is not there. Check its name and the folder of the images.")
    if file.is_dir():
        return DataError(f"{path}: this is a folder, but one image file is needed here.")
    if file.stat().st_size == 0:
        return DataError(f"{path}: the image file is empty (0 bytes). Copy or download it again.")
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            f"{path}: the image has more pixels than is safe to read ({error}). Cut it into tiles, or, if you trust "
            "the file, raise PIL.Image.MAX_IMAGE_PIXELS."
        )
    return DataError(
        f"{path}: the file cannot be read as an image ({error}). It is damaged, cut off, or of a format Pillow does "
        "not know; copy it again, or save it as PNG or JPEG."
    )


def _wrong_image(image: object, channels: int) -> DataError:
    kind, dtype, shape = type(image).__name__, getattr(image, "dtype", None), list(getattr(image, "shape", []))
    rule = f"an array [height, width, {channels}] or a tensor [{channels}, height, width], both uint8"
    if not isinstance(image, np.ndarray | Tensor):
        return DataError(f"image: it is a {kind}, but must be a path, a Pillow image, {rule}. Convert it.")
    if dtype not in (torch.uint8, np.uint8):
        largest = float(image.max()) if len(shape) and 0 not in shape else 0.0
        remedy = "Multiply it by 255 and round" if largest <= 1 else "Scale its values to 0..255"
        return DataError(f"image: the {kind} holds {dtype}, up to {largest:g}, but must be {rule}. {remedy}.")
    colors = ", red, green, blue" if channels == 3 else ""
    remedy = "Give several as a list" if len(shape) == 4 else "Reorder its axes, or leave channels out"
    return DataError(f"image: the {kind} has the shape {shape}, but must be {rule}{colors}. {remedy}.")
