"""Cityscapes (Cordts et al. 2016, https://www.cityscapes-dataset.com): instances, and segments of every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...data.dataset import Dataset
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
from ...evaluation.annotations import Annotations
from ...evaluation.panoptic_quality import PanopticTruth, SegmentClass, panoptic_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...predict.panoptic_files import read_panoptic_results, write_panoptic_results
from ..benchmark import Benchmark
from .metric import instance_section
from .submission import read_instances, write_instances

CLASSES = {label: SegmentClass(LABELS[label], label in THINGS) for label in sorted(STUFF + THINGS)}
SOURCE = "Cityscapes"


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
