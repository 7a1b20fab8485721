"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com): instances, and segments of every pixel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...data.dataset import Dataset
from ...data.images import read_pixels
from ...data.readers.cityscapes import (
    LABELS,
    LAYOUT,
    STUFF,
    THINGS,
    find_cityscapes,
    gather_cityscapes,
    read_label_maps,
    to_segments,
)
from ...data.readers.contents import read_text
from ...errors import DataError
from ...evaluation.annotations import Annotations, Size, rle_crop
from ...evaluation.panoptic_quality import PanopticTruth, SegmentClass, panoptic_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...ops.files import write_text
from ...predict.panoptic_files import read_panoptic_results, write_panoptic_results
from ...structures.masks import encode_crop, tight_crop
from ..benchmark import Benchmark, require_images
from .metric import instance_section

CLASSES = {label: SegmentClass(LABELS[label], label in THINGS) for label in sorted(STUFF + THINGS)}
SOURCE = "Cityscapes"
RESULTS_LAYOUT = "CITY_SEQUENCE_FRAME*.txt with lines `MASK LABEL SCORE`, and the PNG files of the masks"
OFFICIAL_NAME = re.compile(r"\w+_\d{6}_\d{6}")
MASKS = "masks"
FASTEST = 1
"""Of PNG's compression levels."""


class Cityscapes(Benchmark):
    """Instances, scored by the official average precision and by panoptic quality; those of "test" are not public."""

    name, title = "cityscapes", "Cityscapes instances, AP and PQ of things"
    layout, splits = LAYOUT, ("val", "test", "train")
    submits = "folder"

    def open(self) -> None:
        images = find_cityscapes(self.folder, self.split)
        maps = read_label_maps(images)
        contents = gather_cityscapes(self.folder, self.split, images, maps)
        self._maps = {number: values for number, values in enumerate(maps, start=1) if values is not None}
        listed, objects = contents.coco["images"], contents.coco["annotations"]
        sizes = {image["id"]: (image["height"], image["width"]) for image in listed}
        # Predictions may name all labels; those that no evaluation counts are left out of the scores.
        self._annotated(contents, Annotations(SOURCE, sizes, LABELS, objects), public=bool(self._maps))
        self.truth = Annotations.parse(contents.coco, source=f"{SOURCE} {self.split}") if self.public else None
        self.image_names = {image["id"]: image["name"] for image in listed}

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        results = super().parse(records, source)
        results.require("segm")
        return results

    def _segments(self) -> PanopticTruth:
        return PanopticTruth(SOURCE, self.known.sizes, CLASSES, lambda image_id: to_segments(self._maps[image_id]))

    def _score(self, results: Results, say: Say) -> list[Section]:
        """Average precision; and panoptic quality, without the numbers of stuff where none was predicted."""
        average = instance_section(self.known.sizes, lambda image_id: self._maps[image_id].decode(), results, say)
        evaluated = results.where(lambda record: record["category_id"] in CLASSES)
        things_only = all(record["category_id"] in THINGS for record in evaluated)
        return [average, *panoptic_sections(self._segments(), evaluated, say, things_only=things_only)]

    def _submit(self, results: Results, path: Path) -> None:
        write_instances(path, results, self.image_names, self.known.sizes)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_instances(path, self.image_names, self.known.sizes)


class CityscapesPanoptic(Cityscapes):
    """Segments of things and stuff, scored by panoptic quality."""

    name, title = "cityscapes-panoptic", "Cityscapes panoptic segments"
    panoptic = True
    own_json = True

    def open(self) -> None:
        super().open()
        self.truth = None  # objects are not all that is scored
        self.known = replace(self.known, categories={label: LABELS[label] for label in CLASSES})

    def dataset(self) -> Dataset:
        data = super().dataset()
        stuff = tuple(LABELS[label] for label in STUFF)
        return replace(data, classes=replace(data.classes, stuff=stuff, stuff_ids=STUFF))

    def _score(self, results: Results, say: Say) -> list[Section]:
        return panoptic_sections(self._segments(), results, say)

    def _submit(self, results: Results, path: Path) -> None:
        write_panoptic_results(path, results, self.known.sizes, self.image_names, by_name=True)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_panoptic_results(path, self.image_names)


def read_instances(folder: Path, names: Mapping[int, str], sizes: Mapping[int, Size]) -> list[dict]:
    """Results as COCO records, in the order of the images.

    Where a text file names a mask twice, the last line counts, as officially.

    Args:
        folder: Holds the text files, at any depth.
        names: Official names of the images by their ids.
        sizes: (height, width) of the images, as far as they are known.

    Raises:
        DataError: An image has no text file or two, or one of another image is there; a line or a mask cannot be
            used.
    """
    if not folder.is_dir():
        there = "this is a file" if folder.exists() else "there is no such folder"
        raise DataError(
            f"{folder}: {there}, but Cityscapes' results are a folder of {RESULTS_LAYOUT}. Unpack or write it."
        )
    files = _files_by_name(folder, set(names.values()))
    require_images(folder, names.values(), files, "Every image needs a text file, if only an empty one.")
    records = []
    for image_id, name in names.items():
        lines = {mask: (label, score) for mask, label, score in _read_lines(files[name], folder)}
        for mask, (label, score) in lines.items():
            segmentation = _read_mask(mask, sizes.get(image_id))
            records.append({"image_id": image_id, "category_id": label, "score": score, "segmentation": segmentation})
    return records


def write_instances(folder: Path, results: Results, names: Mapping[int, str], sizes: Mapping[int, Size]) -> None:
    """Write the text files, and the masks into `masks`; each image gets its text file.

    Args:
        folder: Made if it is not there.
        results: Masks with official label ids.
        names, sizes: As for `read_instances`.
    """
    (folder / MASKS).mkdir(parents=True, exist_ok=True)
    lines: dict[int, list[str]] = {image_id: [] for image_id in names}
    for record in results:
        image_id = record["image_id"]
        mask = f"{MASKS}/{names[image_id]}_{len(lines[image_id]):04d}.png"
        _write_mask(folder / mask, record["segmentation"], sizes[image_id])
        lines[image_id].append(f"{mask} {record['category_id']} {float(record['score'])!r}\n")
    for image_id, name in names.items():
        write_text(folder / f"{name}.txt", "".join(lines[image_id]))


def _files_by_name(folder: Path, names: set[str]) -> dict[str, Path]:
    """The text file of each image; other text files than those named after images may be there."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.txt")):
        name = "_".join(path.stem.split("_")[:3])
        if name not in names and not OFFICIAL_NAME.fullmatch(name):
            continue
        if name not in names:
            raise DataError(f"{path}: {name} is not among the images of this split. Give results of these images only.")
        if name in found:
            raise DataError(f"{path}: {name} has results in {found[name].name} too. Keep one of these files.")
        found[name] = path
    return found


def _read_lines(file: Path, folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Mask, label id and score of each line."""
    for number, line in enumerate(read_text(file, "a list of masks").splitlines(), start=1):
        parts = line.split(" ")
        try:
            name, label, score = parts[0], int(float(parts[1])), float(parts[2])
        except (IndexError, ValueError, OverflowError):
            name, label, score = "", 0, 0.0
        if not name or len(parts) != 3:
            raise DataError(
                f"{file}: line {number}: {line!r:.80} is not `MASK LABEL SCORE`, a path without spaces and two "
                "numbers. Correct it."
            )
        if label not in LABELS:
            raise DataError(
                f"{file}: line {number}: label {parts[1]} is none of Cityscapes' label ids 0 to {max(LABELS)} (24 "
                "person, 26 car). Write these, not the train ids."
            )
        mask = file.parent / name
        if Path(name).is_absolute() or not Path(os.path.abspath(mask)).is_relative_to(os.path.abspath(folder)):
            raise DataError(
                f"{file}: line {number}: the mask {name} lies outside of the results, but its path must be one from "
                "the text file to a file in the same folder or one below. Move it there."
            )
        yield mask, label, score


def _read_mask(path: Path, size: Size | None) -> dict:
    pixels = read_pixels(path, "L")
    if size is not None and pixels.shape != tuple(size):
        raise DataError(
            f"{path}: the mask is {pixels.shape[1]} x {pixels.shape[0]} px, but its image is {size[1]} x {size[0]} "
            "(width x height). Masks must have the image's size."
        )
    return encode_crop(tight_crop(0, 0, pixels != 0), (pixels.shape[0], pixels.shape[1]))


def _write_mask(path: Path, segmentation: dict, size: Size) -> None:
    x, y, bitmap = rle_crop(segmentation)
    pixels = np.zeros(size, dtype=np.uint8)
    pixels[y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = 255 * bitmap
    Image.fromarray(pixels).save(path, compress_level=FASTEST)
