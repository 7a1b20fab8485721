"""COCO: boxes and masks, keypoints, boundaries (https://cocodataset.org)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ...data.dataset import Contents, Dataset
from ...data.readers.coco import parse_coco
from ...data.readers.coco_folders import find_coco
from ...errors import DataError
from ...evaluation.coco import coco_sections
from ...evaluation.coco_input import Measure
from ...evaluation.results import Kind, Results
from ...evaluation.sections import Say, Section
from ...structures.classes import COCO_PERSON
from ..benchmark import Benchmark, Submits, kinds_given
from .submission import read_lists, write_lists

FILES = {
    "val": ("{name}_val2017.json", "val2017", "val2017"),
    "minival": ("{name}_minival2014.json", "val2014", "minival2014"),
    "test-dev": ("image_info_test-dev2017.json", "test2017", "test-dev2017"),
    "test-challenge": ("image_info_test2017.json", "test2017", "test-challenge2017"),
}
"""Of each split: its file in `annotations/`, the folder of its images, its name on the server."""
LAYOUT = (
    "annotations/{{{name}_val2017,{name}_minival2014,image_info_test-dev2017,image_info_test2017}}.json, "
    "val2017/*.jpg, val2014/*.jpg, test2017/*.jpg; of these only what the split needs"
)
PERSON = {"id": 1, "name": "person", "supercategory": "person", **COCO_PERSON.described()}
"""What the files of the test images do not say."""


class Coco(Benchmark):
    """COCO's boxes and masks, or any file in its format, which is scored in the same way.

    The folder has `annotations/` and the images' folders, or is an annotation file. Of the tests only the images are
    known.
    """

    name, title, splits = "coco", "COCO boxes and masks", tuple(FILES)
    layout = LAYOUT.format(name="instances")
    submits: Submits = "folder"
    file: ClassVar[str] = "instances"
    """Beginning of the annotation files' names."""
    kinds: ClassVar[Sequence[Measure]] = ("bbox", "segm")
    """What is scored."""
    lists: ClassVar[dict[Kind, str]] = {
        "bbox": "detections_{}_maskrcnn-bbox_results",
        "segm": "detections_{}_maskrcnn-segm_results",
    }
    """What the server takes of each kind: the name of its file, with a place for the split."""

    def open(self) -> None:
        hidden = False
        if self.folder.is_file():
            file, images, self.submits = self.folder, self.folder, None
        else:
            name, place, self._on_server = FILES[self.split]
            file, images = self.folder / "annotations" / name.format(name=self.file), self.folder / place
            hidden = self.split.startswith("test")
        if not file.is_file():
            raise DataError(
                f"{file}: the annotation file of COCO's {self.split} is not there. Unpack COCO into {self.folder}, so "
                f"that it holds {self.layout}."
            )
        coco = parse_coco(file)
        if hidden:
            coco |= {"annotations": [], "categories": self._hidden_categories(coco["categories"])}
        self._annotated(Contents(file, images, coco), public=not hidden)

    def _hidden_categories(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The classes of a test split, whose file lists COCO's 80."""
        return listed

    def dataset(self) -> Dataset:
        if self.folder.is_file():  # to score, no image is needed
            self.contents = self.contents._replace(images=find_coco(self.folder).images)
        return super().dataset()

    def _score(self, results: Results, say: Say) -> list[Section]:
        return coco_sections(self.known, results, kinds=kinds_given(results, self.kinds), say=say)

    def _submit(self, results: Results, path: Path) -> None:
        write_lists(path, results, {kind: name.format(self._on_server) for kind, name in self.lists.items()})

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_lists(path)


class CocoKeypoints(Coco):
    """The keypoints of people."""

    name, title = "coco-keypoints", "COCO keypoints"
    layout = LAYOUT.format(name="person_keypoints")
    file, kinds = "person_keypoints", ("keypoints",)
    lists = {"keypoints": "person_keypoints_{}_maskrcnn_results"}

    def _hidden_categories(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """People with their keypoints, which the file of the images does not say."""
        return [PERSON]


class CocoBoundary(Coco):
    """Masks by their boundaries (Cheng et al. 2021), for which there is no server."""

    name, title = "coco-boundary", "COCO masks by their boundaries (Cheng et al. 2021)"
    layout = "annotations/{instances_val2017,instances_minival2014}.json, val2017/*.jpg, val2014/*.jpg"
    splits = ("val", "minival")
    kinds = ("segm", "boundary")
    submits = None
