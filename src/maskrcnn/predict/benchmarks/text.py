"""Text in pictures: ICDAR 2015 (words of four corners) and CTW1500 (lines of curved text)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ...data.readers.coco import to_data
from ...data.readers.ctw1500 import LAYOUT as CTW1500_LAYOUT
from ...data.readers.ctw1500 import find_ctw1500, read_ctw1500_words
from ...data.readers.icdar import LAYOUT as ICDAR_LAYOUT
from ...data.readers.icdar import find_icdar, read_icdar_words
from ...data.readers.words import Word, WordsFile, gather_words
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.sections import Say, Section
from ...evaluation.text_report import SCORE_THRESHOLD, text_sections
from .benchmark import Benchmark, Opened, Records
from .text_results import read_ctw1500_results, read_icdar_results, write_ctw1500_results, write_icdar_results

SPLITS = ("test", "train")
DETECTIONS = 100


class Write(Protocol):
    """Writes what the official evaluation takes."""

    def __call__(
        self, records: Records, path: Path, truth: Annotations, names: dict[int, str], *, score_threshold: float
    ) -> None: ...


def open_text(
    folder: Path,
    split: str,
    *,
    find: Callable[[Path, str], list[WordsFile]],
    read: Callable[[Path], list[Word]],
    rules: Sequence[str],
    write: Write,
) -> Opened:
    """Find the pictures and the files of words of a split.

    Scores need no pictures: where one is not there, its size is that of the masks that were predicted for it.

    Args:
        folder: Of the official distribution.
        split: "test" or "train".
        find, read: Of the benchmark's reader.
        rules: Of `evaluation.text_report`.
        write: Writes what the official evaluation takes (predictions, path, truth, names of the pictures).

    Raises:
        DataError: The files are not there or cannot be read.
    """
    files = find(folder, split)
    contents = gather_words(files, read, folder, folder)
    truth = replace(load_annotations(contents.coco), source=folder.name)
    names = {number: file.picture.stem for number, file in enumerate(files, start=1)}
    unknown = {number for number, file in enumerate(files, start=1) if not file.picture.is_file()}

    def score(records: Records, say: Say, threshold: float) -> list[Section]:
        sized = _with_sizes(truth, records, unknown)
        return text_sections(sized, records, score_threshold=threshold, rules=rules, say=say)

    def submit(records: Records, path: Path, threshold: float) -> None:
        write(records, path, _with_sizes(truth, records, unknown), names, score_threshold=threshold)

    def opened(threshold: float) -> Opened:
        return Opened(
            source=str(folder),
            pictures=lambda: to_data(contents, skip_invalid=True),
            score=partial(score, threshold=threshold),
            submit=partial(submit, threshold=threshold),
            truth=truth,
            counts={
                "pictures": len(truth.sizes),
                "objects": sum(not word["iscrowd"] for word in truth.objects),
                "ignored": sum(word["iscrowd"] for word in truth.objects),
            },
            image_names=names,
            at=opened,
        )

    return opened(SCORE_THRESHOLD)


def _with_sizes(truth: Annotations, records: Records, unknown: set[int]) -> Annotations:
    """The truth with the sizes of pictures that are not there, from the masks that were found in them."""
    sizes = {
        record["image_id"]: tuple(record["segmentation"]["size"])
        for record in records
        if record.get("image_id") in unknown and isinstance(record.get("segmentation"), dict)
    }
    return replace(truth, sizes=truth.sizes | sizes) if sizes else truth


ICDAR2015 = Benchmark(
    "ICDAR 2015 incidental scene text",
    ICDAR_LAYOUT,
    SPLITS,
    partial(open_text, find=find_icdar, read=read_icdar_words, rules=("icdar2015", "mmocr"), write=write_icdar_results),
    DETECTIONS,
    read_icdar_results,
)
CTW1500 = Benchmark(
    "CTW1500 curved text",
    CTW1500_LAYOUT,
    SPLITS,
    partial(
        open_text, find=find_ctw1500, read=read_ctw1500_words, rules=("mmocr", "ctw1500"), write=write_ctw1500_results
    ),
    DETECTIONS,
    read_ctw1500_results,
)
