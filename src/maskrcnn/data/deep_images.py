"""Files whose values do not fit into 8 bits, and TIFF files of every kind, with their values as they are stored.

TIFF is read by tifffile: planes, tiles, many channels, 12 and 14 bits, 32-bit integers, floats. Other files of deep
colors are read by OpenCV, because Pillow keeps only their high bytes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import cv2
import numpy as np
from PIL import ExifTags, Image

from ..errors import DataError
from .opening import open_image
from .pixel_limit import require_pixels
from .value_range import Extent, Scaling, find_extent

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

Colors = Literal["gray", "rgb", "cmyk", "channels"]
Alpha = Literal["none", "straight", "premultiplied"]
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG_2000_SIZES = b"\xff\x51"
HEADER = 4096
"""Bytes in which a file's bit depth is looked for."""
MOST_PAGES = 4096
PHOTOMETRIC: dict[int, Colors] = {0: "gray", 1: "gray", 2: "rgb", 5: "cmyk"}
MIN_IS_WHITE = 0
YCBCR = 6
JPEG = 7
NODATA_TAG = 42113
"""In which GDAL writes, as text, the value of pixels that hold none."""
ORIENTATION_TAG = 274
ALPHAS: dict[int, Alpha] = {1: "premultiplied", 2: "straight"}
COLOR_CHANNELS = {"gray": 1, "rgb": 3, "cmyk": 4}
RGB = 3
COLORS = (None, 1, RGB)
"""Numbers of channels that are asked for as colors; others are the file's own channels."""
MODES = {("gray", 1): "L", ("gray", 2): "LA", ("rgb", 3): "RGB", ("rgb", 4): "RGBA", ("cmyk", 4): "CMYK"}
"""Pillow's, by colors and the number of channels with alpha."""


class Stored(NamedTuple):
    """The values of an image file.

    Args:
        values: [C, H, W] of the file's own type, upright.
        colors: What the first channels are; `channels`: nothing known.
        alpha: Of what kind the channel behind the colors is.
        pages: Whose channels these are.
        bits: Of a value, as the file says.
        nodata: The value that the file gives to pixels that hold none.
    """

    values: np.ndarray
    colors: Colors
    alpha: Alpha = "none"
    pages: int = 1
    bits: int = 8
    nodata: float | None = None


def is_tiff(path: Path | str) -> bool:
    """Whether a file begins as TIFF or BigTIFF does."""
    return _start(path, 4) in TIFF_STARTS


def needs_own_reader(image: Image.Image, path: Path | str) -> bool:
    """Whether Pillow would lose or mistake values of an image that it has opened, by its header."""
    if is_deep_gray(image):
        return True
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(258, (1,))
        # Pillow 13 maps uncompressed files that lie on their side into memory as if they stood upright.
        on_side = tags.get(ORIENTATION_TAG, 1) > 4 and tags.get(259, 1) == 1 and tags.get(262) in PHOTOMETRIC
        return on_side or max(bits if isinstance(bits, tuple) else (bits,)) > 8
    if image.format == "JPEG2000":
        start = _start(path, HEADER)
        place = start.find(JPEG_2000_SIZES) + 40  # of the first channel's bits, less 1
        return 40 <= place < len(start) and (start[place] & 0x7F) + 1 > 8
    tiles = getattr(image, "tile", [])
    if image.format not in ("PNG", "PPM") or not tiles:
        return False
    args = tiles[0][3]
    words = args if isinstance(args, tuple) else (args,)
    return any(word > 255 if isinstance(word, int) else ";16" in str(word) for word in words)


def is_deep_gray(image: Image.Image) -> bool:
    """Whether Pillow itself has one channel of more than 8 bits of it."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def read_tiff(path: Path | str, *, all_pages: bool = False) -> Stored:
    """The values of a TIFF file.

    Args:
        path: The file.
        all_pages: Take every page of the first one's size and type, one after the other, or every image of an ImageJ
            stack, instead of the first only.

    Raises:
        DataError: It is damaged, too large, or of a kind that is not read.
    """
    with _opened_tiff(path) as tiff:
        pages: list[TiffPage] = list(islice(cast(Any, tiff.pages), MOST_PAGES)) if all_pages else [tiff.pages.first]
        first = pages[0]
        others = [page for page in pages[1:] if not page.is_reduced]
        if any((page.shaped, page.dtype) != (first.shaped, first.dtype) for page in others):
            raise DataError(
                f"{path}: its {len(pages)} pages have different sizes or types, but as channels of one image they must "
                f"be of one: the first is {first.imagewidth} x {first.imagelength} px. Save them as files of their own."
            )
        pages = [first, *others]
        _require_whole(path, pages, tiff.filehandle.size)
        stack = _imagej_stack(path, tiff) if all_pages and len(pages) == 1 else None
        planes = [_planes(page) for page in pages] if stack is None else [stack]
        values = np.concatenate(planes) if len(planes) > 1 else planes[0]
        return _described(first, values, len(values) if stack is not None else len(pages))


def tiff_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of a TIFF file's first page, upright, from its header."""
    with _opened_tiff(path) as tiff:
        page = tiff.pages.first
        require_pixels(path, (page.imagelength, page.imagewidth))
        size = page.imagelength, page.imagewidth
        return size[::-1] if _orientation(page) > 4 else size


def read_by_opencv(path: Path | str, size: tuple[int, int], orientation: int) -> Stored:
    """The values of a file of any other format.

    Args:
        path: The file.
        size: (height, width) as Pillow finds it in the header, not turned.
        orientation: EXIF's number.

    Raises:
        DataError: OpenCV cannot read it.
    """
    try:
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path}: the file cannot be read as an image ({error}). Save it as TIFF.") from error
    if values is None or values.shape[:2] != size:
        raise DataError(
            f"{path}: OpenCV finds no image of {size[1]} x {size[0]} px in it. It is damaged, or of a kind that is not "
            "read with this number of channels; save it as TIFF."
        )
    values = values[..., None] if values.ndim == 2 else values
    order = [2, 1, 0, *range(3, values.shape[2])] if values.shape[2] > 2 else list(range(values.shape[2]))
    count = len(order)
    return Stored(
        turned(values.transpose(2, 0, 1)[order], orientation),
        "gray" if count < 3 else "rgb",
        "straight" if count in (2, 4) else "none",
        bits=8 * values.dtype.itemsize,
    )


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """[C, H, W] as EXIF's number says that it is to be shown."""
    if orientation in (5, 6, 7, 8):
        values = values.transpose(0, 2, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, :, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[:, ::-1]
    return values


def image_extent(path: Path | str, channels: int | None = None) -> Extent | None:
    """What values an image of more than 8 bits has, without its alpha channel; None: it has 8 bits, or fewer.

    Args:
        path, channels: As for `read_image`.

    Raises:
        DataError: It cannot be read.
    """
    if channels in COLORS:
        try:
            with open_image(path) as image:
                if not needs_own_reader(image, path):
                    return None
        except DataError:
            if not is_tiff(path):
                raise
    stored = read_stored(path, channels)
    if stored.values.dtype.itemsize == 1:
        return None
    colors = stored.values if stored.alpha == "none" else stored.values[: COLOR_CHANNELS[stored.colors]]
    return find_extent(colors, stored.nodata, with_brightness=True)


def read_stored(path: Path | str, channels: int | None) -> Stored:
    """The values of a file as they are stored: of all pages, where another number of channels than 1 or 3 is needed."""
    own_channels = channels not in COLORS
    if is_tiff(path):
        return read_tiff(path, all_pages=own_channels)
    with open_image(path) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if is_deep_gray(image) and not own_channels:
            return Stored(turned(np.array(image)[None], orientation), "gray")
        size = image.height, image.width
    return read_by_opencv(path, size, orientation)


def as_pillow(stored: Stored, scaling: Scaling, path: Path | str) -> Image.Image:
    """The colors of a file, scaled to 8 bits."""
    values, colors = stored.values, stored.colors
    if len(values) == RGB and stored.alpha == "none":
        colors = "rgb"  # of whatever they are called
    own, alpha = COLOR_CHANNELS.get(colors, 0), stored.alpha != "none"
    if not own or (colors == "gray" and len(values) > own + alpha):
        raise wrong_channels(path, stored, RGB)
    parts = [scaling.to_bytes(values[:own], stored.nodata)]
    if alpha:
        full = Scaling((0.0, float((1 << stored.bits) - 1) if values.dtype.kind != "f" else 1.0))
        parts.append(full.to_bytes(values[own : own + 1]))
    pixels = np.ascontiguousarray(np.concatenate(parts).transpose(1, 2, 0))
    mode = MODES.get((colors, pixels.shape[2]), "CMYK")  # whose alpha is left out, as Pillow does
    if mode == "RGBA" and stored.alpha == "premultiplied":
        mode = "RGBa"
    size = (pixels.shape[1], pixels.shape[0])
    image = Image.frombytes(mode, size, pixels[..., :4].tobytes())
    return image.convert("RGBA") if mode == "RGBa" else image


def wrong_channels(path: Path | str, stored: Stored, channels: int) -> DataError:
    """What to say of a file that has other channels than are needed."""
    found = len(stored.values)
    return DataError(
        f"{path}: the image has {found} channels (pages: {stored.pages}), but {channels} are needed. Save it as a TIFF "
        f"of {channels} gray pages, or use a model whose input.mean has {found} values."
    )


@contextmanager
def _opened_tiff(path: Path | str) -> "Iterator[TiffFile]":
    """Only the file itself is read: neither OME-XML nor others' indices may lead to further files."""
    from tifffile import TiffFile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its words on damaged tags say no file
    try:
        with TiffFile(str(path), is_ome=False, is_mmstack=False, is_ndtiff=False, _multifile=False) as tiff:
            yield tiff
    except DataError:
        raise
    except Exception as error:  # of tifffile, of every decoder, and of what damaged headers do to either
        raise DataError(
            f"{path}: the file cannot be read as an image ({' '.join(str(error).split()) or type(error).__name__}). It "
            "is damaged, cut off, or of a kind of TIFF that is not read; copy it again, or save it uncompressed."
        ) from error


def _require_whole(path: Path | str, pages: "list[TiffPage]", file_size: int) -> None:
    """What is declared is neither too large nor missing; tifffile would fill missing parts with zeros."""
    first = pages[0]
    values = int(np.prod(first.shaped, dtype=object)) * len(pages) * (first.dtype.itemsize if first.dtype else 1)
    require_pixels(path, (first.imagelength, first.imagewidth), values)
    if first.is_tiled:
        require_pixels(path, (first.tilelength, first.tilewidth))
    if first.dtype is None or first.dtype.kind not in "buif":
        raise DataError(f"{path}: its values are of a type that is not read ({first.dtype}). Save it with 16 bits.")
    for page in pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > file_size:
            raise DataError(f"{path}: the image file is cut off ({file_size} of {max(ends)} bytes). Copy it again.")


def _planes(page: "TiffPage") -> np.ndarray:
    """[C, H, W] of a page, whether its channels are stored pixel by pixel or plane by plane."""
    values = page.asarray(maxworkers=1).reshape(page.shaped)  # planes, depth, height, width, samples
    return values.transpose(0, 1, 4, 2, 3).reshape(-1, *values.shape[2:4])


def _imagej_stack(path: Path | str, tiff: "TiffFile") -> np.ndarray | None:
    """[C, H, W] of an ImageJ file with only one page's header; None: it is no such file."""
    page = tiff.pages.first
    if not tiff.is_imagej or page.shaped[0] * page.shaped[1] * page.shaped[4] != 1:
        return None
    series = tiff.series[0]
    require_pixels(path, (page.imagelength, page.imagewidth), series.nbytes)
    return series.asarray(maxworkers=1).reshape(-1, page.imagelength, page.imagewidth)


def _described(page: "TiffPage", values: np.ndarray, pages: int) -> Stored:
    photometric, bits = int(page.photometric), page.bitspersample
    colors = PHOTOMETRIC.get(photometric, "channels")
    if photometric == YCBCR and int(page.compression) == JPEG:
        colors = "rgb"  # imagecodecs has converted it
    if photometric == MIN_IS_WHITE and values.dtype.kind in "ub" and pages == 1 and len(values) == 1:
        values = ~values if values.dtype.kind == "b" else (1 << bits) - 1 - values
    extra = tuple(int(one) for one in page.extrasamples)
    alpha = ALPHAS.get(extra[0], "none") if extra and colors in COLOR_CHANNELS else "none"
    if colors in COLOR_CHANNELS and len(values) < COLOR_CHANNELS[colors] + (alpha != "none"):
        colors, alpha = "channels", "none"
    return Stored(turned(values, _orientation(page)), colors, alpha, pages, bits, _nodata(page))


def _orientation(page: "TiffPage") -> int:
    value = page.tags.valueof(ORIENTATION_TAG, 1)
    return int(value) if isinstance(value, int) else 1


def _nodata(page: "TiffPage") -> float | None:
    try:
        return float(str(page.tags.valueof(NODATA_TAG)).strip("\0 "))
    except ValueError:
        return None


def _start(path: Path | str, count: int) -> bytes:
    try:
        if not Path(path).is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(count)
    except (OSError, ValueError):
        return b""
