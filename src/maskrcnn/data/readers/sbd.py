"""Semantic Boundaries Dataset (Hariharan et al. 2011): masks of the objects in Pascal VOC's images, as .mat files.

`inst/<image>.mat` holds `GTinst` with `Segmentation`, the number of the object that each pixel belongs to, and
`Categories`, the class of each object, 1 to 20 as in VOC.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io

from ...errors import DataError
from ...structures.regions import find_regions
from ..dataset import Contents
from .coco_folders import SPLITS
from .contents import ContentsBuilder, Format, read_text
from .voc import CLASSES

LAYOUT = "dataset/ with img/, inst/ and val.txt"


def find_sbd(path: Path) -> Path | None:
    """The folder with `inst/` in SBD's distribution, `VOCdevkitSDS` or that folder itself; None: it is not there."""
    places = (path, path / "dataset", path / "benchmark_RELEASE" / "dataset")
    return next((place for place in places if (place / "inst").is_dir()), None)


def is_sbd(path: Path, split: str) -> bool:
    """Whether a folder holds a split of SBD."""
    return path.is_dir() and _list(path, split) is not None


def read_sbd(path: Path, split: str = "val", images: Path | None = None) -> Contents:
    """Read a split of SBD.

    Args:
        path: `benchmark_RELEASE/`, its `dataset/`, or another folder with `img/`, `inst/` and lists of images.
        split: Such as "train" or "val": the name of a list.
        images: Folder of the images; None: `img/`.

    Raises:
        DataError: The list or a file is missing, or a file cannot be read.
    """
    file = _list(path, split)
    if file is None:
        raise DataError(f"{path}: has no {split}.txt of SBD. The layout is {LAYOUT}.")
    found = ContentsBuilder(CLASSES, file, images or file.parent / "img")
    for line in sorted(set(read_text(file, "a list of images").split())):
        matrix = file.parent / "inst" / f"{line}.mat"
        values, categories = _read(matrix)
        image_id = found.add_image(found.images / f"{line}.jpg", (values.shape[0], values.shape[1]), str(file))
        for region in find_regions(values):
            if not region.value:
                continue
            with found.skipping(f"{matrix}: object {region.value}"):
                number = categories[region.value - 1] if region.value <= len(categories) else "missing"
                if not isinstance(number, int) or not 1 <= number <= len(CLASSES):
                    raise ValueError(f"its class is {number}, but must be 1 to {len(CLASSES)}")
                found.add_object(
                    image_id, CLASSES[number - 1], bbox=list(region.box), area=region.area, segmentation=region.rle()
                )
    return found.contents()


def _list(path: Path, split: str) -> Path | None:
    root = find_sbd(path)
    names = SPLITS.get(split, (split,))
    files = [] if root is None else [root / f"{name}.txt" for name in names]
    return next((file for file in files if file.is_file()), None)


def _read(file: Path) -> tuple[np.ndarray, list[int]]:
    """[H, W] numbers of objects, 0 where none is, and the class of each."""
    if not file.is_file():
        raise DataError(f"{file}: the masks of this image are not there. Unpack SBD again.")
    try:
        found = scipy.io.loadmat(file)["GTinst"]
        values, categories = (found[name][0, 0] for name in ("Segmentation", "Categories"))
        return np.atleast_2d(values).astype(np.int64), np.ravel(categories).astype(np.int64).tolist()
    except (KeyError, IndexError) as error:
        raise DataError(f"{file}: has no GTinst with Segmentation and Categories ({error}). Copy it again.") from error
    except (OSError, ValueError, TypeError, EOFError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise DataError(f"{file}: cannot be read as MATLAB's ({error}). Copy it again.") from error


FORMAT = Format("sbd", "Semantic Boundaries Dataset", LAYOUT, is_sbd, read_sbd)
