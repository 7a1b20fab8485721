"""Nuclei of the Data Science Bowl 2018 (https://bbbc.broadinstitute.org/BBBC038), or of any COCO file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.dataset import Contents, Dataset
from ...data.readers.coco import parse_coco
from ...data.readers.coco_folders import find_coco, has_split
from ...data.readers.mask_images import find_mask_folders, gather_mask_folders
from ...errors import DataError
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark
from .bowl import read_bowl_results, read_bowl_rows, write_bowl_results
from .nuclei_metric import DETECTIONS, nuclei_sections

SOLUTION = "stage1_solution.csv"


class Nuclei(Benchmark):
    """The Data Science Bowl's files, or a dataset in COCO's format; there is no "val" in the official files."""

    name, title, splits = "nuclei", "nuclei of the Data Science Bowl 2018", ("val", "train", "test")
    layout = (
        "stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png (train); stage1_test/ID/images/ID.png and "
        "stage1_solution.csv (test); or val.json and images/, or a COCO file itself"
    )
    max_detections = DETECTIONS
    skip_invalid = True
    thresholded = True
    submits = "file"

    def open(self) -> None:
        self._in_coco = self.folder.is_file() or has_split(self.folder, self.split)
        self._annotated(self._find())
        images = self.contents.coco["images"]
        self.image_names = {one["id"]: Path(str(one.get("file_name", one["id"]))).stem for one in images}

    def _find(self) -> Contents:
        path = self.folder
        if self._in_coco:
            file = find_coco(path, self.split, images=path).annotations
            return Contents(file, path, parse_coco(file))
        if self.split == "train" and (path / "stage1_train").is_dir():
            folder = path / "stage1_train"
            return gather_mask_folders(find_mask_folders(path, self.split), folder, folder, "nucleus")
        if self.split == "test" and (path / SOLUTION).is_file():
            return _read_solution(path)
        raise DataError(
            f"{path}: holds no annotated split {self.split} of nuclei. Give --split and a folder of {self.layout}."
        )

    def dataset(self) -> Dataset:
        if self._in_coco:  # to score, no image is needed
            self.contents = self.contents._replace(images=find_coco(self.folder, self.split).images)
        return super().dataset()

    def _score(self, results: Results, say: Say) -> list[Section]:
        return nuclei_sections(self.known, results, score_threshold=self.score_threshold, say=say)

    def _submit(self, results: Results, path: Path) -> None:
        write_bowl_results(results, path, self.known.sizes, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_bowl_results(path, self.known, self.image_names)


def _read_solution(path: Path) -> Contents:
    """The test of stage 1, whose nuclei came as RLE in a table."""
    file, folder = path / SOLUTION, path / "stage1_test"
    images: dict[str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for row in read_bowl_rows(file):
        if row.size is None:
            raise DataError(f"{file}: line {row.line}: has no Height and Width. Take the official {SOLUTION}.")
        name = f"{row.name}/images/{row.name}.png"
        image = images.setdefault(row.name, {"id": len(images) + 1, "file_name": name})
        image |= {"height": row.size[0], "width": row.size[1]}
        segmentation = row.rle(row.size)
        if segmentation is not None:
            place = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
            annotations.append({**place, "segmentation": segmentation})
    categories = [{"id": 1, "name": "nucleus"}]
    return Contents(
        file, folder, {"images": list(images.values()), "categories": categories, "annotations": annotations}
    )
