"""COCO: boxes and masks, keypoints, boundaries (https://cocodataset.org)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...data.readers.coco import parse_coco, read_coco, to_data
from ...data.readers.coco_folders import find_coco
from ...data.records import CocoData, Contents
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.coco import coco_sections
from ...evaluation.coco_input import Measure
from ...evaluation.results import Kind, checked_results
from ...evaluation.sections import Say, Section
from ...structures.skeletons import COCO_PERSON
from .benchmark import Benchmark, Opened, Records
from .coco_results import read_lists, write_lists
from .wanted import kinds_given

FILES = {
    "val": ("{name}_val2017.json", "val2017", "val2017"),
    "minival": ("{name}_minival2014.json", "val2014", "minival2014"),
    "test-dev": ("image_info_test-dev2017.json", "test2017", "test-dev2017"),
    "test-challenge": ("image_info_test2017.json", "test2017", "test-challenge2017"),
}
"""Of each split: its file in `annotations/`, the folder of its pictures, its name on the server."""
SPLITS = tuple(FILES)
LAYOUT = (
    "annotations/{{{name}_val2017,{name}_minival2014,image_info_test-dev2017,image_info_test2017}}.json, "
    "val2017/*.jpg, val2014/*.jpg, test2017/*.jpg; of these only what the split needs"
)
PERSON = {"id": 1, "name": "person", "supercategory": "person", **COCO_PERSON.described()}
"""What the files of the test pictures do not say."""


def open_coco(folder: Path, split: str, *, name: str, kinds: Sequence[Measure], lists: dict[Kind, str]) -> Opened:
    """Find a split of COCO, or any file in its format, which is scored in the same way.

    Args:
        folder: With `annotations/` and the pictures' folders; or an annotation file.
        split: Of `SPLITS`; of the tests only the pictures are known.
        name: "instances" or "person_keypoints".
        kinds: What is scored.
        lists: What the server takes of each kind: the name of its file, with a place for the split. None: no server.

    Raises:
        DataError: The annotation file is not there, or cannot be used.
    """
    if folder.is_file():
        return _open_file(folder, kinds)
    file_name, pictures, on_server = FILES[split]
    file = folder / "annotations" / file_name.format(name=name)
    if not file.is_file():
        raise DataError(
            f"{file}: the annotation file of COCO's {split} is not there. Unpack COCO into {folder}, so that it holds "
            f"{LAYOUT.format(name=name)}."
        )
    hidden = split.startswith("test")
    people = name == "person_keypoints"
    truth = replace(load_annotations(_test_pictures(file, people)), source=file.name) if hidden else None
    known = load_annotations(file) if truth is None else truth

    def score(records: Records, say: Say) -> list[Section]:
        return coco_sections(known, records, kinds=kinds_given(records, kinds), say=say)

    def submit(records: Records, path: Path) -> None:
        names = {kind: list_name.format(on_server) for kind, list_name in lists.items()}
        write_lists(path, checked_results(records, known), names)

    return Opened(
        source=str(file),
        pictures=partial(_read_pictures, file, folder / pictures, hidden, people),
        score=None if hidden else score,
        submit=submit if lists else None,
        truth=None if hidden else known,
        counts=_counts(known, hidden),
    )


def _open_file(file: Path, kinds: Sequence[Measure]) -> Opened:
    truth = load_annotations(file)

    def score(records: Records, say: Say) -> list[Section]:
        return coco_sections(truth, records, kinds=kinds_given(records, kinds), say=say)

    return Opened(
        source=str(file),
        pictures=lambda: read_coco(*find_coco(file)),
        score=score,
        truth=truth,
        counts=_counts(truth, hidden=False),
    )


def _counts(truth: Annotations, hidden: bool) -> dict[str, int]:
    return {"pictures": len(truth.sizes)} | ({} if hidden else {"objects": len(truth.objects)})


def _test_pictures(file: Path, people: bool) -> dict[str, Any]:
    """A file of pictures without objects, as an annotation file has them."""
    content = {**parse_coco(file), "annotations": []}
    return {**content, "categories": [PERSON]} if people else content


def _read_pictures(file: Path, images: Path, hidden: bool, people: bool) -> CocoData:
    if not hidden:
        return read_coco(file, images)
    read = partial(_test_pictures, file, people)
    return to_data(Contents(file, images, read()))


DETECTIONS: dict[Kind, str] = {
    "bbox": "detections_{}_maskrcnn-bbox_results",
    "segm": "detections_{}_maskrcnn-segm_results",
}
COCO = Benchmark(
    "COCO boxes and masks",
    LAYOUT.format(name="instances"),
    SPLITS,
    partial(open_coco, name="instances", kinds=("bbox", "segm"), lists=DETECTIONS),
    read=read_lists,
    folder=True,
)
KEYPOINTS = Benchmark(
    "COCO keypoints",
    LAYOUT.format(name="person_keypoints"),
    SPLITS,
    partial(
        open_coco,
        name="person_keypoints",
        kinds=("keypoints",),
        lists={"keypoints": "person_keypoints_{}_maskrcnn_results"},
    ),
    read=read_lists,
    folder=True,
)
BOUNDARY = Benchmark(
    "COCO masks by their boundaries (Cheng et al. 2021)",
    "annotations/{instances_val2017,instances_minival2014}.json, val2017/*.jpg, val2014/*.jpg",
    ("val", "minival"),
    partial(open_coco, name="instances", kinds=("segm", "boundary"), lists={}),
)
