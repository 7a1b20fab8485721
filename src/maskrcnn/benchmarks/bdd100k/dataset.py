"""BDD100K instance segmentation (Yu et al. 2020, https://doc.bdd100k.com/evaluate.html)."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.dataset import Contents
from ...data.readers.bdd100k import CLASSES, LAYOUT, SIZE, read_bdd100k
from ...data.readers.contents import list_images
from ...data.readers.scalabel import class_of, frames_contents, load_frames
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...ops.files import read_json, write_json
from ...progress import counted
from ..benchmark import Benchmark, complete
from .metric import bdd100k_sections, overlapping_images, separate_objects


class Bdd100k(Benchmark):
    """BDD100K's instances; of "test" only the images are public."""

    name, title, layout, splits = "bdd100k", "BDD100K instance segmentation", LAYOUT, ("val", "train", "test")
    own_json = True
    submits = "file"

    def open(self) -> None:
        hidden = self.split == "test"
        contents = complete(_read_test(self.folder) if hidden else read_bdd100k(self.folder, self.split))
        self._annotated(contents, public=not hidden)
        self.image_names = {image["id"]: image["file_name"] for image in contents.coco["images"]}

    def _score(self, results: Results, say: Say) -> list[Section]:
        say("painting the predictions")
        return bdd100k_sections(self.known, separate_objects(results, self.known), say)

    def _submit(self, results: Results, path: Path) -> None:
        write_frames(path, separate_objects(results, self.known), self.image_names, self.known.categories)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_frames(path, self.known, self.image_names)


def _read_test(folder: Path) -> Contents:
    images = folder / "images" / "10k" / "test"
    frames: list[dict[str, Any]] = [{"name": file.name} for file in list_images(images)]
    if not frames:
        raise DataError(f"{images}: the images of BDD100K's test are not there. Unpack BDD100K into {folder}.")
    return frames_contents(images, frames, CLASSES, images, size=SIZE)


def write_frames(path: Path, results: Results, names: Mapping[int, str], categories: Mapping[int, str]) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: The file.
        results: Masks that do not overlap.
        names: Names of all images by their ids.
        categories: Names of the classes by their ids.
    """
    labels = defaultdict(list)
    for number, record in enumerate(results, start=1):
        label = {"id": str(number), "category": categories[record["category_id"]], "score": record["score"]}
        labels[record["image_id"]].append({**label, "rle": record["segmentation"]})
    frames = [{"name": name, "labels": labels[image_id]} for image_id, name in sorted(names.items())]
    write_json(path, frames)


def read_frames(path: Path, known: Annotations, names: Mapping[int, str]) -> Sequence[dict[str, Any]]:
    """Predictions of a Scalabel file, or of a COCO results file.

    As in the official evaluation, all predictions of an image count nothing if two of its masks overlap; a warning
    says of how many images.

    Args:
        path: The file.
        known: The images and classes that may be named.
        names: Of the images by their ids.

    Raises:
        DataError: Naming the file, the frame, the label, the value, the rule and the remedy.
    """
    content = read_json(path)
    if isinstance(content, list) and any(isinstance(one, dict) and "image_id" in one for one in content):
        return content
    records = frames_records(str(path), load_frames(path)[0], names, known.categories)
    results = Results.parse(records, known, source=path.name)
    overlapping = overlapping_images(results)
    if overlapping:
        warnings.warn(
            f"{path}: of {counted(len(overlapping), 'image')}, {names[min(overlapping)]} first, all predictions "
            "are left out, because some of their masks overlap, as the official evaluation does.",
            stacklevel=2,
        )
    return results.where(lambda record: record["image_id"] not in overlapping)


def frames_records(
    source: str, frames: Sequence[dict[str, Any]], names: Mapping[int, str], categories: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Labels of frames as COCO results; other names of categories are understood as in the annotations.

    Args:
        source: The file, for messages.
        frames: With `name` and `labels`.
        names, categories: As for `write_frames`.

    Raises:
        DataError: An image or category is not known, or a label has no score or no RLE.
    """
    ids, numbers = ({name: number for number, name in table.items()} for table in (names, categories))
    records = []
    for frame in frames:
        for label in frame.get("labels") or []:
            where = f"{source}: frame {frame['name']}: label {label.get('id')!r}"
            if frame["name"] not in ids:
                raise DataError(f"{where}: no image of this split has this name. Predict again.")
            try:
                category, _ = class_of(label, CLASSES)
            except ValueError as error:
                raise DataError(f"{where}: {error}. Correct it.") from error
            if not isinstance(label.get("rle"), dict) or "score" not in label:
                raise DataError(f"{where}: must have `score` and `rle`, the mask's RLE. Predict again.")
            place = {"image_id": ids[frame["name"]], "category_id": numbers[category]}
            records.append({**place, "score": label["score"], "segmentation": label["rle"]})
    return records
