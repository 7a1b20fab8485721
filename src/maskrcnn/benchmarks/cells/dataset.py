"""Cell17 and Kumar: nuclei in histology, separated in label maps.

Kumar et al. 2017 as HoVer-Net has it (https://github.com/vqdang/hover_net); MICCAI 2017's challenge of pathology.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...data.dataset import Contents, Dataset
from ...data.readers.coco import parse_coco
from ...data.readers.coco_folders import find_coco, has_split
from ...data.readers.mask_images import (
    find_label_maps,
    find_mask_folders,
    gather_label_maps,
    gather_mask_folders,
    has_label_maps,
    is_parted,
)
from ...errors import DataError
from ...evaluation.accuracy import IOUS, image_accuracies, instance_accuracy
from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing
from ..benchmark import Benchmark
from .metric import cell_sections
from .submission import read_bowl_results, read_bowl_rows, read_label_maps, write_bowl_results, write_label_maps

SOLUTION = "stage1_solution.csv"
DETECTIONS = 500
"""Most per image: images of the Data Science Bowl have up to 375 nuclei."""
BOWL_IOUS = (*IOUS, 0.95)


class Kumar(Benchmark):
    """The nuclei of seven organs; a folder without those of the splits is taken for the requested split."""

    name, title, splits = "kumar", "Kumar nuclei", ("test", "train", "val")
    layout = "{train,test_same,test_diff}/Images/*.tif and Labels/*.mat (inst_map), or test/ for both tests"
    max_detections = 1500  # images have up to more than a thousand nuclei
    thresholded = True
    submits = "folder"
    first: ClassVar[str] = "instances"
    """The section whose numbers papers quote."""

    def open(self) -> None:
        own = self.split if is_parted(self.folder) else "train"
        if not has_label_maps(self.folder, own):
            raise DataError(
                f"{self.folder}: no label maps of {self.title}, split {self.split}, are there. Unpack it, so that the "
                f"folder holds {self.layout}."
            )
        images = find_label_maps(self.folder, own)
        self._annotated(gather_label_maps(images, self.folder, self.folder, class_name="nucleus"))
        self.image_names = {number: image.image.stem for number, image in enumerate(images, start=1)}

    def _score(self, results: Results, say: Say) -> list[Section]:
        sections = cell_sections(self.known, results, score_threshold=self.score_threshold, say=say)
        return sorted(sections, key=lambda section: section.name != self.first)

    def _submit(self, results: Results, path: Path) -> None:
        write_label_maps(results, path, self.known.sizes, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_label_maps(path, self.known, self.image_names)


class Cell17(Kumar):
    """The nuclei of the challenge of 2017."""

    name, title = "cell17", "Cell17 nuclei"
    layout = "{train,test}/imageNN.png beside imageNN_mask.txt, or {train,test}/Images/*.png and Labels/*.mat (CPM17)"
    first = "glas"


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
            f"{path}: holds no annotated split {self.split} of nuclei. Give a split (--split) and a folder of "
            f"{self.layout}."
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


def nuclei_sections(
    truth: Annotations, results: Results, *, score_threshold: float, say: Say = say_nothing
) -> list[Section]:
    """Score predicted masks of nuclei.

    Args:
        truth: The annotated nuclei.
        results: The predictions.
        score_threshold: Predictions with at least this score count; for the mask AP all do.
        say: Called with what is being scored.

    Returns:
        Sections `accuracy`, `bowl`, `segm` and those of `cell_sections`.
    """
    say("instance accuracy")
    return [
        *accuracy_sections(truth, results, score_threshold=score_threshold),
        *coco_sections(truth, results, iou_types=("segm",), max_detections=DETECTIONS, say=say),
        *cell_sections(truth, results, score_threshold=score_threshold, say=say),
    ]


def accuracy_sections(truth: Annotations, results: Results, *, score_threshold: float) -> list[Section]:
    """Instance accuracy pooled over the images (Caicedo 2019, Schmidt 2018), and the score of the Data Science Bowl.

    The latter is the mean over the images of their mean accuracy at the IoUs 0.50:0.05:0.95. Images without nuclei
    in which none was found do not count.

    Args:
        truth: The annotated nuclei.
        results: Masks as they are: they may overlap.
        score_threshold: Predictions with at least this score count.
    """
    pooled = instance_accuracy(truth, results, score_threshold=score_threshold)
    each = image_accuracies(truth, results, score_threshold=score_threshold, ious=BOWL_IOUS)
    scores = [np.mean(found) for found in each.values() if min(found) >= 0]
    used = f"masks with a score of at least {score_threshold:g}"
    known = {f"accuracy{round(100 * iou)}": value for iou, value in pooled.items() if value >= 0}
    numbers = {f"accuracy{round(100 * iou)}": known.get(f"accuracy{round(100 * iou)}") for iou in IOUS}
    mean = float(np.mean(list(known.values()))) if known else None
    return [
        Section(
            "accuracy",
            "instance accuracy",
            f"TP / (TP + FP + FN) at IoUs above 0.50 to 0.90, counts of all images together, `accuracy` their mean; "
            f"{used}",
            {"accuracy": mean, **numbers},
        ),
        Section(
            "bowl",
            "Data Science Bowl 2018",
            f"mean over images of their mean TP / (TP + FP + FN) at IoUs above 0.50:0.05:0.95; {used}",
            {"score": float(np.mean(scores)) if scores else None},
        ),
    ]
