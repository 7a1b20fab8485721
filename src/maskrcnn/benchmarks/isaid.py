"""iSAID: boxes and masks in patches of aerial images, with hundreds of small objects each
(Waqas Zamir et al. 2019, https://captain-whu.github.io/iSAID)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.dataset import Contents
from ..data.images import image_size
from ..data.readers.coco import parse_coco
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import IOU_TYPES, coco_sections
from ..evaluation.results import IouType, Results
from ..evaluation.sections import Say, Section, say_nothing
from .benchmark import Benchmark, iou_types_given

FILES = ("instancesonly_filtered_{split}.json", "instance_only_filtered_{split}.json")
"""The development kit writes the first name; its readme tells of the second."""
CLASSES = (
    *("ship", "storage_tank", "baseball_diamond", "tennis_court", "basketball_court", "Ground_Track_Field", "Bridge"),
    *("Large_Vehicle", "Small_Vehicle", "Helicopter", "Swimming_pool", "Roundabout", "Soccer_ball_field", "plane"),
    "Harbor",
)
"""In the order of their ids, from 1; for the test split, which comes without an annotation file."""
AREAS = {"": (0.0, 1e10), "s": (10.0**2, 144.0**2), "m": (144.0**2, 512.0**2), "l": (512.0**2, 1e10)}
"""Ranges of object areas in square pixels, both ends included; objects below 10 x 10 count among all only."""
DETECTIONS = 1000
"""Detections that count per image and class."""


class Isaid(Benchmark):
    """iSAID's patches in `train/`, `val/` and `test/`, or in `iSAID_patches/`; of "test" only the images are known."""

    name, title, splits = "isaid", "iSAID", ("val", "train", "test")
    layout = (
        "val/instancesonly_filtered_val.json, val/images/P0003_0_800_0_800.png, as the devkit's split.py and "
        "preprocess.py write them"
    )
    max_detections = DETECTIONS
    skip_invalid = True
    submits = "file"

    def open(self) -> None:
        root = self.folder / "iSAID_patches" if (self.folder / "iSAID_patches").is_dir() else self.folder
        places = [root / self.split / name.format(split=self.split) for name in FILES]
        images, hidden = root / self.split / "images", self.split == "test"
        if hidden and not any(place.is_file() for place in places):
            contents = Contents(images, images, self._test_images(images))
        else:
            file = self.find_file(*places)
            contents = Contents(file, images, parse_coco(file))
        self._annotated(contents, public=not hidden)

    def _test_images(self, folder: Path) -> dict[str, Any]:
        """The ids of the images are those that the devkit's test_image_ids_json.py gives: their places, from 0."""
        files = sorted((file for file in folder.glob("*.png") if "_instance_" not in file.name), key=_natural)
        if not files:
            raise DataError(f"{folder}: has no images (*.png) of iSAID's split test. The layout is {self.layout}.")
        with ThreadPoolExecutor() as readers:
            sizes = list(readers.map(image_size, files))
        self.image_names = {number: file.name for number, file in enumerate(files)}
        images = [
            {"id": number, "file_name": name, "height": sizes[number][0], "width": sizes[number][1]}
            for number, name in self.image_names.items()
        ]
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
        return {"images": images, "categories": categories, "annotations": []}

    def _score(self, results: Results, say: Say) -> list[Section]:
        return isaid_sections(self.known, results, iou_types=iou_types_given(results, IOU_TYPES), say=say)

    def _submit(self, results: Results, path: Path) -> None:
        results.write(path, "segm")  # the server scores masks


def isaid_sections(
    truth: Annotations, results: Results, *, iou_types: Sequence[IouType] = IOU_TYPES, say: Say = say_nothing
) -> list[Section]:
    """Score predictions as iSAID's development kit does (https://github.com/CAPTAIN-WHU/iSAID_Devkit, evaluate.py).

    That is COCO's evaluation with 1,000 detections and its own ranges of areas. The first annotation of iSAID's file
    has the id 0, which COCO's evaluator takes for "not matched"; here it can be found like all others.

    Args:
        truth: The annotated patches.
        results: May be empty.
        iou_types: "bbox" boxes, "segm" masks.
        say: Called with what is being scored.
    """
    sections = coco_sections(truth, results, iou_types=iou_types, max_detections=DETECTIONS, areas=AREAS, say=say)
    sizes = "small 10^2 to 144^2, medium to 512^2, large above, in square pixels"
    return [replace(section, protocol=f"{section.protocol} (iSAID: {sizes})") for section in sections]


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value, as the devkit does."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]
