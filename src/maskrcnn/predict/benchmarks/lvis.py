"""LVIS: boxes and masks of more than 1,200 classes (https://www.lvisdataset.org)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...data.readers.coco import parse_coco, to_data
from ...data.readers.lvis import read_lvis
from ...data.records import CocoData
from ...errors import DataError
from ...evaluation.coco import KINDS
from ...evaluation.lvis import DETECTIONS, load_lvis, lvis_sections
from ...evaluation.results import write_results
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .wanted import kinds_given

FILES = {
    "val": "lvis_{version}_val.json",
    "minival": "lvis_{version}_minival.json",
    "train": "lvis_{version}_train.json",
    "test-dev": "lvis_{version}_image_info_test_dev.json",
    "test-challenge": "lvis_{version}_image_info_test_challenge.json",
}
"""Annotation file of each split; of the tests only the pictures are known."""
FILES_V05 = {
    "val": "lvis_{version}_val.json",
    "train": "lvis_{version}_train.json",
    "test": "lvis_{version}_image_info_test.json",
}
LAYOUT = "lvis_{version}_val.json (or in annotations/), with COCO's train2017/, val2017/ and test2017/ beside it"


def open_lvis(folder: Path, split: str, *, version: str) -> Opened:
    """Find a split of LVIS.

    Args:
        folder: With the annotation file, or `annotations/`, and COCO's folders of pictures.
        split: Of `FILES` or `FILES_V05`.
        version: "v1" or "v0.5".

    Raises:
        DataError: The annotation file is not there, or lacks what LVIS's files have.
    """
    name = (FILES if version == "v1" else FILES_V05)[split].format(version=version)
    file = next((path for path in (folder / name, folder / "annotations" / name) if path.is_file()), None)
    if file is None:
        layout = LAYOUT.format(version=version)
        raise DataError(f"{folder / name}: the file of LVIS's split {split} is not there. The layout is {layout}.")
    if split.startswith("test"):
        return _open_hidden(file)
    truth = load_lvis(file)

    def score(records: Records, say: Say) -> list[Section]:
        return lvis_sections(truth, records, kinds=kinds_given(records, KINDS), say=say)

    annotations = truth.annotations
    return Opened(
        source=str(file),
        pictures=lambda: _pictures(file),
        score=score,
        submit=_submit,
        truth=None,  # errors and comparisons by COCO's rule would blame detections of classes nobody looked for
        counts={"pictures": len(annotations.sizes), "objects": len(annotations.objects)},
    )


def _open_hidden(file: Path) -> Opened:
    counts = {"pictures": len(parse_coco(file)["images"])}
    return Opened(source=str(file), pictures=lambda: _pictures(file), score=None, submit=_submit, counts=counts)


def _pictures(file: Path) -> CocoData:
    return to_data(read_lvis(file), skip_invalid=True)


def _submit(records: Records, path: Path) -> None:
    """LVIS's server takes masks."""
    write_results(path, records, "segm")


LVIS = Benchmark("LVIS v1", LAYOUT.format(version="v1"), tuple(FILES), partial(open_lvis, version="v1"), DETECTIONS)
LVIS_V05 = Benchmark(
    "LVIS v0.5", LAYOUT.format(version="v0.5"), tuple(FILES_V05), partial(open_lvis, version="v0.5"), DETECTIONS
)
