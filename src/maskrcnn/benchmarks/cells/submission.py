"""Results as a label map for each image; those of HoVer-Net are .mat files of `inst_map`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.io

from ...data.readers.contents import read_text
from ...data.readers.label_maps import MATLAB, map_objects, read_label_map
from ...data.readers.mask_images import list_maps
from ...errors import DataError
from ...evaluation.annotations import Annotations, Size
from ...evaluation.panoptic_quality import paint_images
from ...evaluation.results import Results
from ...ops.files import replacing, write_text
from ...structures.masks import encode_counts
from ...structures.regions import find_regions
from ..benchmark import require_images

LAYOUT = "a folder with NAME.mat (of `inst_map`), NAME.npy, NAME.png or NAME.tif for each image"
TABLE = "a CSV file of ImageId,EncodedPixels"


def read_label_maps(path: Path, known: Annotations, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Label maps as records, each object with the score 1.

    Args:
        path: The folder; names may end in `_mask` and the like.
        known: The images and classes that may be named.
        names: Of the images by id, without endings.

    Raises:
        DataError: It is no folder, an image has no map, or a map cannot be read or is of another size.
    """
    if not path.is_dir():
        raise DataError(f"{path}: is no folder, but results of this benchmark are {LAYOUT}, or a COCO results file.")
    maps = list_maps(path)
    require_images(path, names.values(), maps, f"Results are {LAYOUT}; a map without an object is all 0.")
    category = min(known.categories)
    records: list[dict[str, Any]] = []
    for image_id, name in names.items():
        values = read_label_map(maps[name])
        if values.shape != known.sizes[image_id]:
            raise DataError(
                f"{maps[name]}: the label map is of size {list(values.shape)} (height, width), but its image is "
                f"{list(known.sizes[image_id])}. Make it again."
            )
        place = {"image_id": image_id, "category_id": category, "score": 1.0}
        records += [
            {**place, "bbox": one["bbox"], "segmentation": one["segmentation"]} for _, one in map_objects(values)
        ]
    return records


def write_label_maps(
    results: Results, path: Path, sizes: Mapping[int, Size], names: Mapping[int, str], *, score_threshold: float
) -> None:
    """Write a .mat file of `inst_map` for each image, from which HoVer-Net's `compute_stats.py` makes its scores.

    Args:
        results: With masks.
        path: The folder.
        sizes: (height, width) of the images by id.
        names: Of the images by id, without endings.
        score_threshold: Records with at least this score are painted, the best first.
    """
    path.mkdir(parents=True, exist_ok=True)
    for image_id, painted in paint_images(results, sizes, score_threshold=score_threshold):
        content = io.BytesIO()
        scipy.io.savemat(content, {MATLAB: painted})
        with replacing(path / f"{names[image_id]}.mat") as temporary:
            temporary.write_bytes(content.getvalue())


class BowlRow(NamedTuple):
    """One nucleus.

    Args:
        source: File, for messages.
        line: Of the file.
        name: Of the image.
        pixels: Its EncodedPixels; empty where an image has no nucleus.
        size: (height, width) of the image, if the table says so.
    """

    source: Path
    line: int
    name: str
    pixels: str
    size: Size | None

    def rle(self, size: Size) -> dict[str, Any] | None:
        """COCO RLE in an image of `size`; None of a row without a nucleus.

        Raises:
            DataError: The runs are no pairs of numbers, not in order, or leave the image.
        """
        try:
            runs = np.array(self.pixels.split(), dtype=np.int64).reshape(-1, 2)
        except (ValueError, OverflowError) as error:
            raise DataError(
                f"{self.source}: line {self.line}: EncodedPixels must be start and length in turn ({error}). Correct "
                "the line."
            ) from error
        if not len(runs):
            return None
        starts = runs[:, 0] - 1
        ends = starts + runs[:, 1]
        gaps = starts - np.concatenate([[0], ends[:-1]])
        if (gaps < 0).any() or (runs[:, 1] < 1).any() or ends[-1] > size[0] * size[1]:
            raise DataError(
                f"{self.source}: line {self.line}: the runs of EncodedPixels must rise from 1 to {size[0] * size[1]}, "
                f"the pixels of image {self.name}, without overlap. Correct the line."
            )
        counts = np.stack([gaps, runs[:, 1]], axis=1).ravel().tolist()
        left = size[0] * size[1] - int(ends[-1])
        return encode_counts([*counts, left] if left else counts, size)


def read_bowl_rows(path: Path) -> Iterator[BowlRow]:
    """The rows of a table.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    rows = csv.DictReader(io.StringIO(read_text(path, TABLE)))
    if not {"ImageId", "EncodedPixels"} <= set(rows.fieldnames or ()):
        raise DataError(f"{path}: has the columns {rows.fieldnames}, but must be {TABLE}. Add what is missing.")
    for row in rows:
        height, width = row.get("Height") or "", row.get("Width") or ""
        size = (int(height), int(width)) if height.isdigit() and width.isdigit() else None
        yield BowlRow(path, rows.line_num, row["ImageId"] or "", row["EncodedPixels"] or "", size)


def read_bowl_results(path: Path, known: Annotations, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """A table as records, each nucleus with the score 1.

    Args:
        path: The CSV file.
        known: The images and classes that may be named.
        names: Of the images by id.

    Raises:
        DataError: It cannot be read; a row names an image that is not of the split.
    """
    numbers = {name: number for number, name in names.items()}
    category = min(known.categories)
    records: list[dict[str, Any]] = []
    for row in read_bowl_rows(path):
        if row.name not in numbers:
            raise DataError(
                f"{path}: line {row.line}: the image {row.name!r} is not of {known.source}. "
                "Give the results of this split."
            )
        image_id = numbers[row.name]
        segmentation = row.rle(known.sizes[image_id])
        if segmentation is not None:
            place = {"image_id": image_id, "category_id": category, "score": 1.0}
            records.append({**place, "segmentation": segmentation})
    return records


def write_bowl_results(
    results: Results, path: Path, sizes: Mapping[int, Size], names: Mapping[int, str], *, score_threshold: float
) -> None:
    """Write the table. No pixel may belong to two nuclei: masks are painted, the best first.

    Args:
        results: With masks.
        path: The CSV file.
        sizes: (height, width) of the images by id; one without a nucleus gets an empty row.
        names: Of the images by id.
        score_threshold: Records with at least this score are written.
    """
    lines = ["ImageId,EncodedPixels"]
    for image_id, painted in paint_images(results, sizes, score_threshold=score_threshold):
        runs = [(region.runs + np.array([1, 0])).ravel().tolist() for region in find_regions(painted) if region.value]
        lines += [f"{names[image_id]},{' '.join(map(str, one))}" for one in runs or [[]]]
    write_text(path, "\n".join(lines) + "\n")
