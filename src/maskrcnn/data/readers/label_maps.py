"""Label maps: files that say for each pixel of an image which object it belongs to."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import ndimage

from ...errors import DataError
from ...structures.masks import encode_crop, tight_crop
from ...structures.regions import Region, find_regions
from ..deep_images import is_tiff, read_tiff
from ..opening import open_image
from ..pixel_limit import require_pixels
from .matlab import read_matlab

MATLAB = "inst_map"
"""Name of the label map in a .mat file, as in the Kumar, CPM17 and CoNSeP sets."""
ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".npy", ".mat", ".txt", ".jpg", ".jpeg")
SAMPLE_FORMAT, UNSIGNED = 339, 1
"""The tag of a TIFF file, and its value."""
PLAIN = 255
"""The value of a plain mask, which tells objects from the background only."""
TOUCHING = np.ones((3, 3), dtype=int)
"""Pixels hang together by their sides and corners."""


def read_label_map(path: Path) -> np.ndarray:
    """Read a label map of any kind.

    - .png, .tif, .bmp: gray of 8, 16 or 32 bits, or a palette: each value is an object. Colors: each is an object of
      value red + 256 green + 65536 blue. Black is the background. One bit: 0 and 255.
    - .npy: an array [H, W]; of truth values: 0 and 255.
    - .mat: MATLAB's `inst_map` [H, W].
    - .txt: the first line is `width height`, then the values row by row (MICCAI's digital pathology challenges).

    Returns:
        [H, W] int64, 0 where no object is.

    Raises:
        DataError: The file is missing, cannot be read, or holds something else than whole numbers from 0.
    """
    values = _read_values(path)
    return values.astype(np.int64) * (PLAIN if values.dtype.kind == "b" else 1)


def map_objects(values: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a label map.

    Each value is an object, whether its pixels hang together or not. A map whose only value is 255 is a plain mask,
    and its parts that hang together (also by corners) are the objects.

    Args:
        values: [H, W] integers, 0 where no object is.

    Returns:
        By ascending value, each with its `bbox`, `area` and `segmentation` as COCO has them.
    """
    regions = [region for region in find_regions(values) if region.value]
    if [region.value for region in regions] == [PLAIN]:
        return map_parts(values)
    return [(region.value, _described(region)) for region in regions]


def map_parts(values: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
    """The parts of a map of classes that hang together, by class; arguments and result as of `map_objects`."""
    found = []
    for value in np.unique(values[values > 0]).tolist():
        parts, _ = ndimage.label(values == value, structure=TOUCHING)
        found += [(value, _described(region)) for region in find_regions(parts) if region.value]
    return found


def read_mask(path: Path) -> np.ndarray:
    """[H, W] bool of a file that shows one object in any color but black.

    Raises:
        DataError: The file is missing or cannot be read.
    """
    return _read_values(path) > 0


def mask_object(mask: np.ndarray) -> dict[str, Any] | None:
    """The object of a mask [H, W] bool as COCO has it, with `bbox`, `area` and `segmentation`; None without a pixel."""
    crop = tight_crop(0, 0, mask)
    height, width = crop.bitmap.shape
    if not height:
        return None
    segmentation = encode_crop(crop, (mask.shape[0], mask.shape[1]))
    return {"bbox": [crop.x, crop.y, width, height], "area": int(crop.bitmap.sum()), "segmentation": segmentation}


def _read_values(path: Path) -> np.ndarray:
    """[H, W] whole numbers from 0 of a label map, of whatever type they are in the file."""
    if not path.is_file():
        raise DataError(f"{path}: the label map is not there. Check its name, or take its image out.")
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise DataError(
            f"{path}: JPEG changes the values of pixels, so that it cannot hold a label map. Export it as PNG or TIFF."
        )
    readers = {".npy": _read_numpy, ".mat": _read_matlab, ".txt": _read_text}
    values = readers.get(path.suffix.lower(), _read_image)(path)
    if values.ndim != 2:
        raise DataError(
            f"{path}: the label map has the shape {list(values.shape)}, but must be [height, width]. Save one value "
            "per pixel."
        )
    if values.dtype.kind not in "uib" and not (values.dtype.kind == "f" and (values == np.round(values)).all()):
        raise DataError(
            f"{path}: the label map holds values that are no whole numbers (type {values.dtype}), but each pixel must "
            "have the number of its object. Save integers."
        )
    if values.size and values.min() < 0:
        raise DataError(
            f"{path}: the label map holds {int(values.min())}, but objects are numbered from 1. Correct it."
        )
    return values


def _described(region: Region) -> dict[str, Any]:
    return {"bbox": list(region.box), "area": region.area, "segmentation": region.rle()}


def _read_image(path: Path) -> np.ndarray:
    try:
        with open_image(path) as image:
            pages = getattr(image, "n_frames", 1)
            values = np.array(image.convert("RGBA") if image.mode in ("LA", "PA") else image)
            if image.mode == "I" and getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED:
                values = values.view(np.uint32)  # Pillow takes them for signed
    except DataError:
        if not is_tiff(path):
            raise
        stored = read_tiff(path, all_pages=True)  # 32 bits without sign and other kinds that Pillow does not know
        pages, values = stored.pages, np.moveaxis(stored.values, 0, -1)
        values = values[..., 0] if values.shape[2] == 1 else values
    if pages > 1:
        raise DataError(f"{path}: has {pages} pages, but a label map is one. Save one page per image.")
    if values.ndim == 3 and values.shape[2] in (3, 4):
        return _color_values(values)
    return values


def _color_values(pixels: np.ndarray) -> np.ndarray:
    """One value per color; the gray ones of an image that is gray throughout stay what they are."""
    red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
    if (red == green).all() and (red == blue).all():
        return red
    return red + 256 * green + 65536 * blue


def _read_numpy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(values, np.ndarray) and values.ndim == 2:
            require_pixels(path, values.shape, values.nbytes)
            values = np.array(values)
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, BadZipFile, OverflowError) as error:
        raise DataError(f"{path}: the label map cannot be read ({error}). Save it with numpy.save.") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{path}: holds several arrays, but a label map is one. Save it with numpy.save.")
    return values


def _read_matlab(path: Path) -> np.ndarray:
    known = read_matlab(path)
    if not isinstance(known.get(MATLAB), np.ndarray):
        names = ", ".join(name for name in known if not name.startswith("__")) or "nothing"
        raise DataError(f"{path}: holds {names}, but the label map must be called {MATLAB}. Rename it.")
    return known[MATLAB]


def _read_text(path: Path) -> np.ndarray:
    rule = "the first line must be `width height`, and a whole number for each pixel must follow"
    try:
        width, height, *values = path.read_text(encoding="ascii").split()
        return np.array(values, dtype=np.int64).reshape(int(height), int(width))
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: the label map cannot be read ({error}); {rule}. Copy it again.") from error
