"""BDD100K instance segmentation (Yu et al. 2020, https://doc.bdd100k.com/evaluate.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...data.readers.bdd100k import CLASSES, LAYOUT, SIZE, read_bdd100k
from ...data.readers.coco import to_data
from ...data.readers.gathering import list_pictures
from ...data.readers.scalabel import frames_contents
from ...data.records import Contents
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.bdd100k import bdd100k_sections, separate_objects
from ...evaluation.results import checked_results
from ...evaluation.sections import Say, Section
from .bdd100k_results import read_frames, write_frames
from .benchmark import Benchmark, Opened, Records


def open_bdd100k(folder: Path, split: str) -> Opened:
    """Find a split of BDD100K.

    Raises:
        DataError: Labels, or of "test" the pictures, are not there or cannot be used.
    """
    read = partial(_read_test, folder) if split == "test" else partial(read_bdd100k, folder, split)
    contents = read()
    if contents.skipped:
        raise DataError(f"{contents.skipped[0]}. Correct the file, or unpack it again.")
    truth = replace(load_annotations(contents.coco), source=contents.source.name)
    names = {image["id"]: image["file_name"] for image in contents.coco["images"]}

    def score(records: Records, say: Say) -> list[Section]:
        say("painting the predictions")
        return bdd100k_sections(truth, separate_objects(checked_results(records, truth), truth), say)

    hidden = split == "test"
    return Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents),
        score=None if hidden else score,
        submit=partial(_submit, truth, names),
        truth=None if hidden else truth,
        counts={"pictures": len(truth.sizes)} | ({} if hidden else {"objects": len(truth.objects)}),
        image_names=names,
    )


def _submit(truth: Annotations, names: Mapping[int, str], records: Records, path: Path) -> None:
    write_frames(path, separate_objects(checked_results(records, truth), truth), names, truth.categories)


def _read_test(folder: Path) -> Contents:
    pictures = folder / "images" / "10k" / "test"
    frames: list[dict[str, Any]] = [{"name": file.name} for file in list_pictures(pictures)]
    if not frames:
        raise DataError(f"{pictures}: the pictures of BDD100K's test are not there. Unpack BDD100K into {folder}.")
    return frames_contents(pictures, frames, CLASSES, pictures, size=SIZE)


BDD100K = Benchmark(
    "BDD100K instance segmentation",
    LAYOUT,
    ("val", "train", "test"),
    open_bdd100k,
    read=read_frames,
    own_json=True,
)
