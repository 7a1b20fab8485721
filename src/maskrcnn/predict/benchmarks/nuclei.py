"""Nuclei of the Data Science Bowl 2018 (https://bbbc.broadinstitute.org/BBBC038), or of any COCO file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...data.readers.coco import parse_coco, to_data
from ...data.readers.coco_folders import find_coco, has_split
from ...data.readers.mask_folders import find_mask_folders, gather_mask_folders
from ...data.records import CocoData, Contents
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.cells import SCORE_THRESHOLD
from ...evaluation.nuclei import DETECTIONS, nuclei_sections
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .bowl_results import read_bowl_results, read_bowl_rows, write_bowl_results

SPLITS = ("val", "train", "test")
LAYOUT = (
    "stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png (train); stage1_test/ID/images/ID.png and "
    "stage1_solution.csv (test); or val.json and images/, or a COCO file itself"
)
SOLUTION = "stage1_solution.csv"


def open_nuclei(path: Path, split: str) -> Opened:
    """Find a split of the Data Science Bowl's files, or of a data set in COCO's format.

    Args:
        path: Folder, or a COCO file (then of any split).
        split: Of `SPLITS`; there is no "val" in the official files.

    Raises:
        DataError: The files are not there or cannot be used.
    """
    if path.is_file() or has_split(path, split):
        return _open_coco(path, split)
    if split == "train" and (path / "stage1_train").is_dir():
        folder = path / "stage1_train"
        contents = gather_mask_folders(find_mask_folders(path, split), folder, folder, "nucleus")
    elif split == "test" and (path / SOLUTION).is_file():
        contents = _read_solution(path)
    else:
        raise DataError(f"{path}: holds no annotated split {split} of nuclei. Give --split and a folder of {LAYOUT}.")
    truth = replace(load_annotations(contents.coco), source=contents.source.name)
    names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}
    return _opened(contents.source, truth, names, lambda: to_data(contents, skip_invalid=True))


def _open_coco(path: Path, split: str) -> Opened:
    file = find_coco(path, split, images=path).annotations
    truth = load_annotations(file)
    images = parse_coco(file)["images"]
    names = {image["id"]: Path(str(image.get("file_name", image["id"]))).stem for image in images}

    def pictures() -> CocoData:
        contents = Contents(file, find_coco(path, split).images, parse_coco(file))
        return to_data(contents, skip_invalid=True)

    return _opened(file, truth, names, pictures)


def _opened(
    source: Path,
    truth: Annotations,
    names: dict[int, str],
    pictures: Callable[[], CocoData],
    threshold: float = SCORE_THRESHOLD,
) -> Opened:
    def score(records: Records, say: Say) -> list[Section]:
        return nuclei_sections(truth, records, score_threshold=threshold, say=say)

    return Opened(
        source=str(source),
        pictures=pictures,
        score=score,
        submit=partial(write_bowl_results, truth=truth, names=names, score_threshold=threshold),
        truth=truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
        image_names=names,
        at=partial(_opened, source, truth, names, pictures),
    )


def _read_solution(path: Path) -> Contents:
    """The test of stage 1, whose nuclei came as run lengths in a table."""
    file, folder = path / SOLUTION, path / "stage1_test"
    images: dict[str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for row in read_bowl_rows(file):
        if row.size is None:
            raise DataError(f"{file}: line {row.line}: has no Height and Width. Take the official {SOLUTION}.")
        name = f"{row.name}/images/{row.name}.png"
        image = images.setdefault(row.name, {"id": len(images) + 1, "file_name": name})
        image |= {"height": row.size[0], "width": row.size[1]}
        segmentation = row.run_lengths(row.size)
        if segmentation is not None:
            place = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
            annotations.append({**place, "segmentation": segmentation})
    categories = [{"id": 1, "name": "nucleus"}]
    return Contents(
        file, folder, {"images": list(images.values()), "categories": categories, "annotations": annotations}
    )


NUCLEI = Benchmark("nuclei of the Data Science Bowl 2018", LAYOUT, SPLITS, open_nuclei, DETECTIONS, read_bowl_results)
