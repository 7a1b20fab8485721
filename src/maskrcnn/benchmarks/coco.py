"""COCO: boxes and masks, keypoints, boundaries (https://cocodataset.org)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..data.dataset import Contents, Dataset
from ..data.readers.coco import parse_coco
from ..data.readers.coco_folders import find_coco
from ..errors import DataError, SettingError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import coco_sections
from ..evaluation.coco_input import Measure
from ..evaluation.panoptic_quality import panoptic_sections
from ..evaluation.results import IouType, Results
from ..evaluation.sections import Say, Section
from ..ops.files import parse_json, read_json
from ..predict.panoptic_files import image_names, panoptic_truth, read_panoptic_results, write_panoptic_results
from ..structures.classes import COCO_PERSON
from .benchmark import Benchmark, Submits, iou_types_given, list_of_records, write_archive

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
FORM = "[type]_[testset]_[alg]_results.zip or .json files"


class Coco(Benchmark):
    """COCO's boxes and masks, or any file in its format, which is scored in the same way.

    The folder has `annotations/` and the images' folders, or is an annotation file. Of the tests only the images are
    known.
    """

    name, title, splits = "coco", "COCO boxes and masks", tuple(FILES)
    layout = LAYOUT.format(name="instances")
    submits: Submits = "folder"
    file: ClassVar[str] = "instances"
    """What the annotation files' names start with."""
    iou_types: ClassVar[Sequence[Measure]] = ("bbox", "segm")
    """What is scored."""
    lists: ClassVar[dict[IouType, str]] = {
        "bbox": "detections_{}_maskrcnn-bbox_results",
        "segm": "detections_{}_maskrcnn-segm_results",
    }
    """What the server takes of each: the name of its file, with a place for the split."""

    def open(self) -> None:
        hidden = False
        if self.folder.is_file():
            file, images, self.submits = self.folder, self.folder, None
        else:
            name, place, self._on_server = FILES[self.split]
            file, images = self.folder / "annotations" / name.format(name=self.file), self.folder / place
            hidden = self.split.startswith("test")
        coco = parse_coco(self.find_file(file))
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
        return coco_sections(self.known, results, iou_types=iou_types_given(results, self.iou_types), say=say)

    def _submit(self, results: Results, path: Path) -> None:
        write_lists(path, results, {iou_type: name.format(self._on_server) for iou_type, name in self.lists.items()})

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_lists(path)


class CocoKeypoints(Coco):
    """The keypoints of people."""

    name, title = "coco-keypoints", "COCO keypoints"
    layout = LAYOUT.format(name="person_keypoints")
    file, iou_types = "person_keypoints", ("keypoints",)
    lists = {"keypoints": "person_keypoints_{}_maskrcnn_results"}

    def _hidden_categories(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """People with their keypoints, which the file of the images does not say."""
        return [PERSON]


class CocoBoundary(Coco):
    """Masks by their boundaries (Cheng et al. 2021), for which there is no server."""

    name, title = "coco-boundary", "COCO masks by their boundaries (Cheng et al. 2021)"
    layout = "annotations/{instances_val2017,instances_minival2014}.json, val2017/*.jpg, val2014/*.jpg"
    splits = ("val", "minival")
    iou_types = ("segm", "boundary")
    submits = None


class CocoPanoptic(Benchmark):
    """Segments of things and stuff."""

    name, title, splits = "coco-panoptic", "COCO panoptic segments", ("val", "train")
    layout = (
        "annotations/panoptic_{val,train}2017.json, annotations/panoptic_{val,train}2017/*.png (the zip files inside "
        "panoptic_annotations_trainval2017.zip, unpacked), {val,train}2017/*.jpg"
    )
    panoptic = True
    own_json = True
    submits = "folder"

    def open(self) -> None:
        file = self.find_file(self.folder / "annotations" / f"panoptic_{self.split}2017.json")
        coco = parse_coco(file)
        self._truth = truth = panoptic_truth(file, coco)
        categories = {category: known.name for category, known in truth.classes.items()}
        segments = [one for listed in coco.get("annotations", []) for one in listed["segments_info"]]
        contents = Contents(file, self.folder / f"{self.split}2017", coco)
        self._annotated(contents, Annotations(file.name, dict(truth.sizes), categories, segments), coco=False)
        self.image_names = image_names(coco, truth)

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        return self._truth.parse(records, source=source)

    def _score(self, results: Results, say: Say) -> list[Section]:
        return panoptic_sections(self._truth, results, say)

    def _submit(self, results: Results, path: Path) -> None:
        write_panoptic_results(path, results, self.known.sizes, self.image_names)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_panoptic_results(path, self.image_names)


def write_lists(path: Path, results: Results, names: Mapping[IouType, str]) -> None:
    """Write one zip file for each kind of prediction that any record has, or of all kinds where there is no record.

    Args:
        path: A folder; made if it is not there.
        results: The predictions.
        names: Of the file of each, without its ending.

    Raises:
        SettingError: The path is that of a file.
    """
    if path.suffix in (".zip", ".json") or path.is_file():
        raise SettingError(
            f"submission {path} (--submission): COCO's servers take each of "
            f"{', '.join(f'{name}.zip' for name in names.values())} by itself, so a folder is "
            "written. Give the path of a folder."
        )
    for iou_type, name in names.items():
        chosen = results.of_type(iou_type)
        if chosen or not results:
            content = json.dumps(chosen, separators=(",", ":")).encode("ascii")
            write_archive(path / f"{name}.zip", [(f"{name}.json", content)])


def read_lists(path: Path) -> list[dict[str, Any]]:
    """Read what `write_lists` wrote, or one of its files: a folder, a zip file.

    Two lists of the same objects, of boxes and masks, become one with both.

    Args:
        path: The folder or file. Of a zip and a JSON file of one name in it, the zip file is read.

    Raises:
        DataError: There is no list, or one of them cannot be read.
    """
    files = [path]
    if path.is_dir():
        packed = sorted(path.glob("*_results.zip"))
        plain = sorted(path.glob("*_results.json"))
        files = packed + [file for file in plain if file.with_suffix(".zip") not in packed]
    lists = [
        found
        for file in files
        for found in (_unpack(file) if file.suffix == ".zip" else [list_of_records(str(file), read_json(file))])
    ]
    if not lists:
        raise DataError(f"{path}: holds no results of COCO's form, {FORM}. Give their folder, or one of them.")
    merged = lists[0]
    for found in lists[1:]:
        merged = _merge(merged, found)
    return merged


def _unpack(file: Path) -> list[list[dict]]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json")]
            contents = {name: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: cannot be read as a zip file ({error}). Copy or write it again.") from error
    if not contents:
        raise DataError(f"{file}: holds no JSON file, but COCO's results are {FORM}. Add it.")
    named = {f"{file}: {name}": content for name, content in contents.items()}
    return [list_of_records(where, parse_json(content, where)) for where, content in named.items()]


def _merge(first: list[dict], second: list[dict]) -> list[dict]:
    """One record for each object if both lists have the same objects in the same order, else one after the other."""
    same = ("image_id", "category_id", "score")
    if [[one.get(name) for name in same] for one in first] == [[one.get(name) for name in same] for one in second]:
        return [{**one, **other} for one, other in zip(first, second, strict=True)]
    return [*first, *second]
