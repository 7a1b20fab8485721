"""Image files as Pillow opens them, and what is wrong with those that it cannot open."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from ..errors import DataError
from ..ops.files import require_regular
from .pixel_limit import VARIABLE, require_pixels

HEIC = (".heic", ".heif", ".hif")

UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError),
    Image.DecompressionBombError,
)
"""What Pillow raises for broken files, by format."""


@contextmanager
def open_image(file: Path | str | IO[bytes], *, name: str | None = None) -> Iterator[Image.Image]:
    """An image file as Pillow opens it; pixels are read inside the `with`.

    Args:
        file: A path, or the bytes of a file.
        name: Of what bytes belong to, for messages.

    Raises:
        DataError: The file is missing, empty, cut off, too large or no image, whether Pillow finds out at once or when
            it reads the pixels.
    """
    source = file if isinstance(file, str | Path) else name or "image"
    if str(source).lower().endswith(HEIC):
        _open_heic()
    if isinstance(file, str | Path):
        require_regular(file)
    try:
        with Image.open(file) as image:
            require_pixels(source, image.size[::-1])
            yield image
    except UNREADABLE as error:
        if isinstance(file, str | Path):
            raise _unreadable(file, error) from error
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name}: cannot be read as an image ({reason}). Write it again.") from error


@cache
def _open_heic() -> None:
    """Teach Pillow HEIC, where the extra is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()


def _unreadable(path: Path | str, error: Exception) -> DataError:
    file = Path(path)
    if not file.exists():
        return DataError(f"{path}: the image is not there. Check its name and the folder of the images.")
    if file.stat().st_size == 0:
        return DataError(f"{path}: the image file is empty (0 bytes). Copy or download it again.")
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            f"{path}: the image has more pixels than are read ({error}). Cut it into tiles; or, if you trust the file, "
            f"set the environment variable {VARIABLE} to a larger number."
        )
    if file.suffix.lower() in HEIC and isinstance(error, UnidentifiedImageError):
        return DataError(
            f"{path}: the file cannot be read as an image. HEIC needs `pip install 'maskrcnn[heic]'`; if that is "
            "installed, the file is damaged: copy it again, or save it as PNG or JPEG."
        )
    return DataError(
        f"{path}: the file cannot be read as an image ({error}). It is damaged, cut off, or of a format Pillow does "
        "not know; copy it again, or save it as PNG or JPEG."
    )
