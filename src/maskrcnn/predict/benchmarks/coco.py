"""COCO: boxes and masks, keypoints, boundaries (https://cocodataset.org)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ...data.readers.coco import read_coco
from ...errors import DataError
from ...evaluate.annotations import load_annotations
from ...evaluate.coco import coco_sections
from ...evaluate.results import Kind, write_results
from ...evaluate.sections import Say, Section
from .benchmark import Benchmark, Opened, Records

SPLITS = ("val", "minival", "test-dev", "test-challenge")
LAYOUT = "annotations/{instances,person_keypoints}_val2017.json, val2017/"
FILES = {
    "val": ("{name}_val2017.json", "val2017"),
    "minival": ("{name}_minival2014.json", "val2014"),
    "test-dev": ("image_info_test-dev2017.json", "test2017"),
    "test-challenge": ("image_info_test2017.json", "test2017"),
}
"""Annotation file and folder of the pictures of each split."""


def open_coco(folder: Path, split: str, *, name: str, kinds: Sequence[Kind]) -> Opened:
    """Find a split of COCO.

    Args:
        folder: With `annotations/` and the pictures' folders.
        split: Of `SPLITS`; of the tests only the pictures are known.
        name: "instances" or "person_keypoints".
        kinds: What is scored.

    Raises:
        DataError: The annotation file is not there.
    """
    file_name, pictures = FILES[split]
    file = folder / "annotations" / file_name.format(name=name)
    if not file.is_file():
        raise DataError(f"{file}: the annotation file of COCO's {split} is not there. Unpack it into {folder}.")
    truth = load_annotations(file)
    hidden = split.startswith("test")

    def score(records: Records, say: Say) -> list[Section]:
        return coco_sections(truth, records, kinds=kinds, say=say)

    return Opened(
        source=str(file),
        pictures=lambda: read_coco(file, folder / pictures),
        score=None if hidden else score,
        submit=lambda records, path: write_results(path, records, kinds[-1]),
        truth=None if hidden else truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
    )


COCO = Benchmark(
    "COCO boxes and masks", LAYOUT, SPLITS, partial(open_coco, name="instances", kinds=("bbox", "segm")), 100
)
KEYPOINTS = Benchmark(
    "COCO keypoints", LAYOUT, SPLITS, partial(open_coco, name="person_keypoints", kinds=("keypoints",)), 100
)
