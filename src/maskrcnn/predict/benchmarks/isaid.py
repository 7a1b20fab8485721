"""iSAID: boxes and masks in patches of aerial pictures (https://captain-whu.github.io/iSAID)."""

from __future__ import annotations

import re
from pathlib import Path

from ...data.readers.coco import parse_coco, to_data
from ...data.records import CocoData, Contents
from ...errors import DataError
from ...evaluation.annotations import load_annotations
from ...evaluation.coco import KINDS
from ...evaluation.isaid import DETECTIONS, isaid_sections
from ...evaluation.results import write_results
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .wanted import kinds_given

SPLITS = ("val", "train", "test")
FILES = ("instancesonly_filtered_{split}.json", "instance_only_filtered_{split}.json")
"""The development kit writes the first name; its readme tells of the second."""
LAYOUT = "val/instancesonly_filtered_val.json, val/images/P0003_0_800_0_800.png: patches cut by the devkit's split.py"
CLASSES = (
    "ship",
    "storage_tank",
    "baseball_diamond",
    "tennis_court",
    "basketball_court",
    "Ground_Track_Field",
    "Bridge",
    "Large_Vehicle",
    "Small_Vehicle",
    "Helicopter",
    "Swimming_pool",
    "Roundabout",
    "Soccer_ball_field",
    "plane",
    "Harbor",
)
"""In the order of their ids, from 1; for the test split, which comes without an annotation file."""


def open_isaid(folder: Path, split: str) -> Opened:
    """Find a split of iSAID's patches.

    Args:
        folder: With `train/`, `val/` and `test/`, or with `iSAID_patches/`, which holds them.
        split: Of `SPLITS`; of "test" only the pictures are known.

    Raises:
        DataError: The annotation file, or the pictures of the test, are not there.
    """
    root = folder / "iSAID_patches" if (folder / "iSAID_patches").is_dir() else folder
    names = [name.format(split=split) for name in FILES]
    file = next((root / split / name for name in names if (root / split / name).is_file()), None)
    if split == "test":
        return _open_test(root / split, file)
    if file is None:
        raise DataError(
            f"{root / split / names[0]}: the annotation file of iSAID's split {split} is not there, nor {names[1]}. "
            f"The layout is {LAYOUT}; the devkit's preprocess.py writes the file."
        )
    truth = load_annotations(file)

    def score(records: Records, say: Say) -> list[Section]:
        return isaid_sections(truth, records, kinds=kinds_given(records, KINDS), say=say)

    return Opened(
        source=str(file),
        pictures=lambda: _pictures(file, root / split / "images"),
        score=score,
        submit=_submit,
        truth=truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
    )


def _open_test(folder: Path, file: Path | None) -> Opened:
    """The ids of the pictures are those that the devkit's test_image_ids_json.py gives: their places, from 0."""
    images = folder / "images"
    if file is not None:
        count = len(parse_coco(file)["images"])
        return Opened(
            str(file), pictures=lambda: _pictures(file, images), score=None, submit=_submit, counts={"pictures": count}
        )
    names = sorted((path.name for path in images.glob("*.png") if "_instance_" not in path.name), key=_natural)
    if not names:
        raise DataError(f"{images}: has no pictures (*.png) of iSAID's split test. The layout is {LAYOUT}.")

    def contents() -> dict:
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
        listed = [{"id": place, "file_name": name} for place, name in enumerate(names)]
        return {"images": listed, "categories": categories, "annotations": []}

    return Opened(
        str(images),
        pictures=lambda: to_data(Contents(images, images, contents())),
        score=None,
        submit=_submit,
        counts={"pictures": len(names)},
        image_names=dict(enumerate(names)),
    )


def _pictures(file: Path, images: Path) -> CocoData:
    contents = Contents(file, images, parse_coco(file))
    return to_data(contents, skip_invalid=True)


def _submit(records: Records, path: Path) -> None:
    """The server scores masks."""
    write_results(path, records, "segm")


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by their value, as the devkit does."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


ISAID = Benchmark("iSAID", LAYOUT, SPLITS, open_isaid, DETECTIONS)
