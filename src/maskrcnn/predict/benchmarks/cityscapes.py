"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com): instances, and segments of every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...data.pictures import picture_size
from ...data.readers.cityscapes import LAYOUT, find_cityscapes, read_cityscapes, read_instance_ids
from ...data.readers.coco import to_data
from ...data.records import CocoData
from ...evaluate.annotations import Annotations, load_annotations
from ...evaluate.cityscapes import instance_section
from ...evaluate.panoptic_quality import PanopticTruth, SegmentClass, panoptic_sections
from ...evaluate.results import checked_results
from ...evaluate.sections import Say, Section
from ...evaluate.segmentations import Size
from ...structures.cityscapes import LABELS, STUFF, THINGS, to_segments
from ..panoptic_files import checked_segments, read_panoptic_results, require_masks, write_panoptic_results
from .benchmark import Benchmark, Opened, Records
from .cityscapes_results import read_results, write_results

SPLITS = ("val", "test", "train")
CLASSES = {label: SegmentClass(LABELS[label], label in THINGS) for label in sorted(STUFF + THINGS)}
SOURCE = "Cityscapes"


def open_cityscapes(folder: Path, split: str) -> Opened:
    """Find a split, scored by the official average precision and by panoptic quality.

    Raises:
        DataError: Files are not there or broken; see `find_cityscapes` and `read_cityscapes`.
    """
    contents = read_cityscapes(folder, split)
    images = contents.coco["images"]
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    names = {image["id"]: image["name"] for image in images}
    maps = _label_maps(folder, split)
    hidden = split == "test"
    return Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents, again=lambda: contents.coco),
        score=None if hidden else partial(_score_instances, sizes, maps),
        submit=lambda records, path: write_results(path, require_masks(records), names, sizes),
        truth=None if hidden else replace(load_annotations(contents.coco), source=f"{SOURCE} {split}"),
        counts={"pictures": len(images), "objects": len(contents.coco["annotations"])},
        image_names=names,
    )


def open_segments(folder: Path, split: str) -> Opened:
    """Find a split, scored by panoptic quality of things and stuff.

    Raises:
        DataError: Files are not there or broken; see `find_cityscapes`.
    """
    found = find_cityscapes(folder, split)
    maps = _label_maps(folder, split)
    names = {number: picture.name for number, picture in enumerate(found, start=1)}
    pictures = folder / "leftImg8bit" / split
    sizes = {
        number: picture_size(picture.ids or pictures / picture.file_name)
        for number, picture in enumerate(found, start=1)
    }
    return Opened(
        source=str(folder / "gtFine" / split),
        pictures=lambda: _with_stuff(folder, split),
        score=None if split == "test" else partial(_score_segments, _segments(sizes, maps)),
        submit=lambda records, path: write_panoptic_results(path, records, sizes, names, by_name=True),
        counts={"pictures": len(found)},
        image_names=names,
    )


def read_instances(path: Path, opened: Opened) -> Records:
    """Instance results of the official format.

    Raises:
        DataError: As `cityscapes_results.read_results`.
    """
    sizes = {} if opened.truth is None else opened.truth.sizes
    return read_results(path, opened.image_names, sizes)


def read_segments(path: Path, opened: Opened) -> Records:
    """Panoptic results of the official format.

    Raises:
        DataError: As `read_panoptic_results`.
    """
    return read_panoptic_results(path, opened.image_names)


def _label_maps(folder: Path, split: str) -> dict[int, Path]:
    found = enumerate(find_cityscapes(folder, split), start=1)
    return {number: picture.ids for number, picture in found if picture.ids is not None}


def _with_stuff(folder: Path, split: str) -> CocoData:
    contents = read_cityscapes(folder, split)
    data = to_data(contents, again=lambda: contents.coco)
    return replace(data, classes=replace(data.classes, stuff=tuple(LABELS[label] for label in STUFF), stuff_ids=STUFF))


def _segments(sizes: Mapping[int, Size], maps: Mapping[int, Path]) -> PanopticTruth:
    def read(image_id: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
        return to_segments(read_instance_ids(maps[image_id]))

    return PanopticTruth(SOURCE, sizes, CLASSES, read)


def _score_instances(sizes: dict[int, Size], maps: Mapping[int, Path], records: Records, say: Say) -> list[Section]:
    """Average precision; and panoptic quality, without the numbers of stuff where none was predicted."""
    known = require_masks(checked_results(records, Annotations(SOURCE, sizes, LABELS, [])))
    average = instance_section(sizes, lambda image_id: read_instance_ids(maps[image_id]), known, say)
    evaluated = [record for record in known if record["category_id"] in CLASSES]
    things_only = all(record["category_id"] in THINGS for record in evaluated)
    return [average, *panoptic_sections(_segments(sizes, maps), evaluated, say, things_only=things_only)]


def _score_segments(truth: PanopticTruth, records: Records, say: Say) -> list[Section]:
    return panoptic_sections(truth, checked_segments(records, truth), say)


CITYSCAPES = Benchmark(
    "Cityscapes instances, AP and PQ of things", LAYOUT, SPLITS, open_cityscapes, 100, read_instances
)
CITYSCAPES_PANOPTIC = Benchmark(
    "Cityscapes panoptic segments", LAYOUT, SPLITS, open_segments, read=read_segments, segments=True
)
