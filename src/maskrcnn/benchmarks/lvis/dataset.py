"""LVIS: boxes and masks of more than 1,200 classes (https://www.lvisdataset.org)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ...data.readers.lvis import read_lvis
from ...errors import DataError
from ...evaluation.coco import KINDS
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark, kinds_given
from .metric import DETECTIONS, LvisTruth, lvis_sections

LAYOUT = "lvis_{version}_val.json (or in annotations/), with COCO's train2017/, val2017/ and test2017/ beside it"


class Lvis(Benchmark):
    """LVIS in a folder with the annotation file, or `annotations/`; of the tests only the images are known."""

    name, title, layout = "lvis", "LVIS v1", LAYOUT.format(version="v1")
    max_detections = DETECTIONS
    skip_invalid = True
    submits = "file"
    files: ClassVar[Mapping[str, str]] = {
        "val": "lvis_v1_val.json",
        "minival": "lvis_v1_minival.json",
        "train": "lvis_v1_train.json",
        "test-dev": "lvis_v1_image_info_test_dev.json",
        "test-challenge": "lvis_v1_image_info_test_challenge.json",
    }
    """The annotation file of each split."""
    splits = tuple(files)

    def open(self) -> None:
        name = self.files[self.split]
        places = (self.folder / name, self.folder / "annotations" / name)
        file = next((path for path in places if path.is_file()), None)
        if file is None:
            raise DataError(
                f"{places[0]}: the file of LVIS's split {self.split} is not there. The layout is {self.layout}."
            )
        contents = read_lvis(file)
        contents.coco.setdefault("annotations", [])
        hidden = self.split.startswith("test")
        # Errors and comparisons by COCO's rule would blame detections of classes that nobody looked for.
        self._annotated(contents, public=not hidden, coco=False)
        self._truth = None if hidden else LvisTruth.parse(contents.coco, self.known)

    def _score(self, results: Results, say: Say) -> list[Section]:
        assert self._truth is not None, "the ground truth is public"
        return lvis_sections(self._truth, results, kinds=kinds_given(results, KINDS), say=say)

    def _submit(self, results: Results, path: Path) -> None:
        results.write(path, "segm")  # the server takes masks


class LvisV05(Lvis):
    """The first version."""

    name, title, layout = "lvis-v0.5", "LVIS v0.5", LAYOUT.format(version="v0.5")
    files = {
        "val": "lvis_v0.5_val.json",
        "train": "lvis_v0.5_train.json",
        "test": "lvis_v0.5_image_info_test.json",
    }
    splits = tuple(files)
