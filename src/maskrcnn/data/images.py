"""Image files of every kind to bytes: RGB as a person would see them, as many channels as a model needs, or as stored.

Every image file of the library is opened by `open_image` or, if Pillow would lose something of it, by `read_stored`.
"""

from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from ..errors import DataError
from .deep_images import (
    COLORS,
    RGB,
    TIFF_STARTS,
    as_pillow,
    is_deep_gray,
    is_tiff,
    needs_own_reader,
    read_stored,
    tiff_size,
    wrong_channels,
)
from .opening import HEIC, open_image
from .value_range import Range, Scaling

IMAGES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", *HEIC, ".j2c", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf"),
    *(".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff"),
    ".webp",
)
"""How the names of image files end, in small letters."""

STARTS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", *TIFF_STARTS),
    *(b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"qoif"),
)
"""How the contents of image files begin."""
BOXED = (b"avif", b"avis", b"heic", b"heix", b"mif1")
"""Kinds of images behind `ftyp` in the fifth byte."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

ImageInput = str | Path | np.ndarray | Tensor | Image.Image
"""A file, an array [H, W, C] or [H, W], a tensor [C, H, W], or a Pillow image."""


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


def read_image(
    path: Path | str,
    channels: int | None = None,
    *,
    value_range: Range | None = None,
    stretch: tuple[float, float] | None = None,
) -> Tensor:
    """Read an image file.

    The EXIF orientation is applied. Gray, palette, CMYK and 1-bit images become RGB; transparent pixels are laid on
    white. Of several pages, the first is read.

    Values of more than 8 bits, whether gray or colors, are scaled by `value_range`, which belongs to a dataset: the
    same value becomes the same byte in each of its images. Without it, the smallest range of 8, 10, 12, 14 or 16 bits
    that holds the image's largest value is taken, so that 12-bit microscopy in a 16-bit file is not dark; of floats
    also 0..1. Values outside all of these are scaled from the image's smallest to its largest. Values that hold no
    data (NaN, infinite, beyond 1e30; -9999, -99999, -32767 and -32768 in signed numbers; what GDAL's tag says) do not
    count, and become 0.

    Two, four or more channels are read as they are in the file, which is a TIFF with one gray page per channel, or has
    so many values per pixel. All channels are scaled to 8 bits alike.

    Args:
        path: TIFF of any kind, or a file of any format Pillow reads; for two, four or more channels one that OpenCV
            reads.
        channels: 3 or none for RGB, 1 for gray, or another number for the file's own channels.
        value_range: The values that become black and white in images of more than 8 bits; None: by the image's own.
        stretch: Two percentiles of an image of more than 8 bits that become black and white, in place of the range.

    Returns:
        [channels, height, width] uint8.

    Raises:
        DataError: The file is missing, empty, cut off, too large, or no image, or has another number of channels.
    """
    scaling = Scaling(value_range, stretch)
    if channels in COLORS:
        try:
            with open_image(path) as image:
                if not needs_own_reader(image, path):
                    return _of_pillow(image, channels, scaling)
        except DataError:
            if not is_tiff(path):  # tifffile reads more kinds of it than Pillow
                raise
    stored = read_stored(path, channels)
    if channels in COLORS:
        return _of_pillow(as_pillow(stored, scaling, path), channels, scaling)
    if len(stored.values) != channels:
        raise wrong_channels(path, stored, channels)
    return torch.from_numpy(np.ascontiguousarray(scaling.to_bytes(stored.values, stored.nodata)))


def load_image(
    image: ImageInput,
    channels: int | None = None,
    *,
    value_range: Range | None = None,
    stretch: tuple[float, float] | None = None,
) -> Tensor:
    """[channels, H, W] uint8 of whatever somebody has an image in.

    Args:
        image: A file, read as by `read_image`; a Pillow image, taken as the file that it may come from; an array
            [H, W, channels] or a tensor [channels, H, W], both uint8, red, green, blue where there are three. Gray
            arrays [H, W] become three equal channels where three are needed. With a `value_range`, arrays and tensors
            of other types are scaled by it as files are.
        channels: That are needed; None: 3.
        value_range, stretch: As for `read_image`.

    Raises:
        DataError: The file cannot be read; or another type, shape or number of channels, such as floats in 0..1.
    """
    channels = channels or RGB
    scaling = Scaling(value_range, stretch)
    if isinstance(image, str | Path):
        return read_image(image, channels, value_range=value_range, stretch=stretch)
    if isinstance(image, Image.Image):
        if channels in (1, RGB):
            return _of_pillow(image.copy(), channels, scaling)
        image = np.array(image)
    given = image
    if value_range is not None and isinstance(image, Tensor) and image.dtype != torch.uint8:
        image = torch.from_numpy(scaling.to_bytes(image.cpu().numpy()))
    if value_range is not None and isinstance(image, np.ndarray):
        image = scaling.to_bytes(image)
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
    try:
        with open_image(path) as image:
            width, height = image.size
            if image.format == "TIFF":  # some versions of Pillow have turned the size already
                tags = getattr(image, "tag_v2", {})
                width, height = tags.get(256, width), tags.get(257, height)
            sideways = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
            return (width, height) if sideways else (height, width)
    except DataError:
        if not is_tiff(path):
            raise
    return tiff_size(path)


def begins_as_image(path: Path | str) -> bool:
    """Whether the first bytes of a file are those of an image, and Pillow finds its size; of whatever name it is."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
        boxed = start[4:8] == b"ftyp" and start[8:12] in BOXED
        webp = start.startswith(b"RIFF") and start[8:12] == b"WEBP"
        return (boxed or webp or start.startswith(STARTS)) and min(image_size(path)) > 0
    except (OSError, DataError):
        return False


def _of_pillow(image: Image.Image, channels: int | None, scaling: Scaling) -> Tensor:
    """[3 or 1, H, W] uint8, upright."""
    ImageOps.exif_transpose(image, in_place=True)
    rgb = _rgb(image, scaling)
    if channels == 1:
        return torch.from_numpy(np.array(rgb.convert("L")))[None]
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _rgb(image: Image.Image, scaling: Scaling) -> Image.Image:
    if is_deep_gray(image):
        return Image.fromarray(scaling.to_bytes(np.array(image))).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


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
