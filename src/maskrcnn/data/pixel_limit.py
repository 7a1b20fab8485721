"""How large an image may be: one limit for all files, checked from the header before memory is taken."""

import os
import re
from pathlib import Path

from PIL import Image

from ..errors import DataError, SettingError

VARIABLE = "MASKRCNN_MAX_IMAGE_PIXELS"
BYTES_PER_PIXEL = 8
"""That an image's values may take: four channels of 16 bits, or one of 64."""


def most_pixels() -> int:
    """Largest number of pixels that is read: the environment's, or Pillow's `Image.MAX_IMAGE_PIXELS`, if larger.

    Raises:
        SettingError: The environment variable is no whole number above 0.
    """
    given = os.environ.get(VARIABLE, "")
    if given and not re.fullmatch("0*[1-9][0-9]{0,17}", given):
        raise SettingError(f"{VARIABLE}={given}: must be a whole number of pixels above 0.")
    limit = max(int(given or 0), Image.MAX_IMAGE_PIXELS or 2**62)
    if given and Image.MAX_IMAGE_PIXELS is not None and limit > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit  # or Pillow itself would refuse what the user allows
    return limit


def require_pixels(path: Path | str, size: tuple[int, int], values_bytes: int = 0) -> None:
    """Refuse an image that is too large.

    Args:
        path: For the message.
        size: (height, width).
        values_bytes: That all channels of it take, if that is known.

    Raises:
        DataError: It has more pixels than the limit, or more than 8 bytes per pixel of the limit.
    """
    height, width = size
    limit = most_pixels()
    if height * width <= limit and values_bytes <= BYTES_PER_PIXEL * limit:
        return
    takes = f", {values_bytes / 1e6:,.0f} MB in memory" if values_bytes else ""
    raise DataError(
        f"{path}: the image has {width} x {height} px ({height * width:,} pixels{takes}), but at most {limit:,} pixels "
        f"are read. Cut it into tiles; or, if you trust the file and have the memory, set the environment variable "
        f"{VARIABLE}={max(height * width, -(-values_bytes // BYTES_PER_PIXEL))}."
    )
