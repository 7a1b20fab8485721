"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com): instances, and segments of every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...data.readers.cityscapes import LAYOUT, find_cityscapes, read_cityscapes, read_instance_ids
from ...data.readers.coco import to_data
from ...data.records import CocoData
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.cityscapes import instance_section
from ...evaluation.panoptic_quality import PanopticTruth, SegmentClass, panoptic_sections
from ...evaluation.results import checked_results
from ...evaluation.sections import Say, Section
from ...evaluation.segmentations import Size
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
    opened, sizes, maps = _open(folder, split)
    return replace(
        opened,
        score=partial(_score_instances, sizes, maps) if maps else None,
        submit=lambda records, path: write_results(path, require_masks(records), opened.image_names, sizes),
    )


def open_segments(folder: Path, split: str) -> Opened:
    """Find a split, scored by panoptic quality of things and stuff.

    Raises:
        DataError: As `open_cityscapes`.
    """
    opened, sizes, maps = _open(folder, split)
    names = opened.image_names
    return replace(
        opened,
        pictures=lambda: _with_stuff(opened.pictures()),
        score=partial(_score_segments, _segments(sizes, maps)) if maps else None,
        submit=lambda records, path: write_panoptic_results(path, require_masks(records), sizes, names, by_name=True),
        truth=None,
    )


def _open(folder: Path, split: str) -> tuple[Opened, dict[int, Size], dict[int, Path]]:
    """A split without a score; its pictures' sizes and label maps, which those of `test` have not."""
    contents = read_cityscapes(folder, split)
    images, objects = contents.coco["images"], contents.coco["annotations"]
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    found = enumerate(find_cityscapes(folder, split), start=1)
    maps = {number: picture.ids for number, picture in found if picture.ids is not None}
    opened = Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents),
        score=None,
        truth=replace(load_annotations(contents.coco), source=f"{SOURCE} {split}") if maps else None,
        counts={"pictures": len(images), "objects": len(objects)},
        image_names={image["id"]: image["name"] for image in images},
    )
    return opened, sizes, maps


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


def _with_stuff(data: CocoData) -> CocoData:
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
    "Cityscapes instances, AP and PQ of things", LAYOUT, SPLITS, open_cityscapes, 100, read_instances, folder=True
)
CITYSCAPES_PANOPTIC = Benchmark(
    "Cityscapes panoptic segments",
    LAYOUT,
    SPLITS,
    open_segments,
    read=read_segments,
    segments=True,
    own_json=True,
    folder=True,
)
