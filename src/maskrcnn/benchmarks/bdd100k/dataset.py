"""BDD100K instance segmentation (Yu et al. 2020, https://doc.bdd100k.com/evaluate.html)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.dataset import Contents
from ...data.readers.bdd100k import CLASSES, LAYOUT, SIZE, read_bdd100k
from ...data.readers.contents import list_images
from ...data.readers.scalabel import frames_contents
from ...errors import DataError
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark
from .metric import bdd100k_sections, separate_objects
from .submission import read_frames, write_frames


class Bdd100k(Benchmark):
    """BDD100K's instances; of "test" only the images are public."""

    name, title, layout, splits = "bdd100k", "BDD100K instance segmentation", LAYOUT, ("val", "train", "test")
    own_json = True
    submits = "file"

    def open(self) -> None:
        hidden = self.split == "test"
        contents = _read_test(self.folder) if hidden else read_bdd100k(self.folder, self.split)
        if contents.skipped:
            raise DataError(f"{contents.skipped[0]}. Correct the file, or unpack it again.")
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
