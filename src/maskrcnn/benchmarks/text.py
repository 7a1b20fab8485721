"""Text in images: ICDAR 2015 (words of four corners) and CTW1500 (lines of curved text)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..data.readers.contents import read_text
from ..data.readers.text import (
    CTW1500_LAYOUT,
    ICDAR_LAYOUT,
    Word,
    WordsFile,
    find_ctw1500,
    find_icdar,
    gather_words,
    read_ctw1500_words,
    read_icdar_words,
    read_numbers,
)
from ..errors import DataError
from ..evaluation.annotations import Annotations, rle_crop
from ..evaluation.results import Results
from ..evaluation.sections import Say, Section
from ..evaluation.text_report import found_polygons, polygon_of, rectangle_of, text_sections
from ..ops.files import write_text
from .benchmark import Benchmark, find_in_archive, write_archive

ICDAR_RESULTS = "a zip file or a folder of res_img_N.txt, each line x1,y1,x2,y2,x3,y3,x4,y4"
CTW1500_RESULTS = "a text file of lines `image score x1 y1 x2 y2 ...`"
PREFIX = "res_"


class TextBenchmark(Benchmark):
    """Words or lines of text, found by their polygons or by their masks.

    Scores need no images: where one is not there, its size is that of the masks that were predicted for it.
    """

    splits = ("test", "train")
    skip_invalid = True
    thresholded = True
    submits = "file"
    rules: ClassVar[Sequence[str]]
    """Of `evaluation.text_report`."""
    find: Callable[[Path, str], list[WordsFile]]
    """The files of a split."""
    read_words: Callable[[Path], list[Word]]
    """What one of them says."""
    write_results: Callable[..., None]
    read_results: Callable[[Path, str, Mapping[int, str]], list[dict[str, Any]]]
    """In the format of the server."""

    def open(self) -> None:
        files = self.find(self.folder, self.split)
        self._annotated(gather_words(files, self.read_words, self.folder, self.folder))
        self.image_names = {number: file.image.stem for number, file in enumerate(files, start=1)}
        self._unknown = {number for number, file in enumerate(files, start=1) if not file.image.is_file()}
        ignored = sum(word["iscrowd"] for word in self.known.objects)
        self.counts = {**self.counts, "objects": len(self.known.objects) - ignored, "ignored": ignored}

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        if isinstance(records, Results):
            return records
        given = list(records)
        return Results.parse(given, self._sized(given), source=source)

    def _sized(self, records: Iterable[Any]) -> Annotations:
        """The truth with the sizes of images that are not there, from the masks that were found in them."""
        sizes = {
            record["image_id"]: tuple(record["segmentation"]["size"])
            for record in records
            if isinstance(record, dict)
            and record.get("image_id") in self._unknown
            and isinstance(record.get("segmentation"), dict)
        }
        return replace(self.known, sizes=self.known.sizes | sizes) if sizes else self.known

    def _score(self, results: Results, say: Say) -> list[Section]:
        truth = self._sized(results)
        return text_sections(truth, results, score_threshold=self.score_threshold, rules=self.rules, say=say)

    def _submit(self, results: Results, path: Path) -> None:
        self.write_results(results, path, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return self.read_results(path, self.source, self.image_names)


def write_icdar_results(results: Results, path: Path, names: Mapping[int, str], *, score_threshold: float) -> None:
    """Write the zip file.

    Args:
        results: Masks become rectangles at any angle.
        path: The zip file.
        names: Of the images by id.
        score_threshold: Words with at least this score are written.
    """
    lines: dict[int, list[str]] = {image_id: [] for image_id in names}
    for record in results:
        if record["score"] >= score_threshold:
            for corners in _corners(record):
                lines[record["image_id"]].append(",".join(map(str, corners.ravel().tolist())))
    members = ((f"{PREFIX}{names[key]}.txt", "".join(f"{line}\n" for line in lines[key]).encode()) for key in names)
    write_archive(path, members)


def read_icdar_results(path: Path, source: str, image_names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Results as records with the score 1; an image without a file has no word, as in the official script.

    Args:
        path: The zip file, or a folder of its files. A ninth number of a line is the score.
        source: Of the split that is scored, for messages.
        image_names: Of its images by id.

    Raises:
        DataError: It is neither; a file is of no image of the split; a line is not as it should be.
    """
    numbers = {f"{PREFIX}{name}.txt": number for number, name in image_names.items()}
    place = find_in_archive(path, sorted(numbers), ICDAR_RESULTS)
    files = sorted((file for file in place.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name)
    records: list[dict[str, Any]] = []
    for file in files:
        if file.name not in numbers:
            raise DataError(
                f"{path}: {file.name} is of no image of {source}, whose files are "
                f"{min(numbers)} and so on. Give the results of this split."
            )
        for where, words in _lines(read_text(file, "a list of words"), f"{path}: {file.name}", ","):
            if len(words) not in (8, 9):
                raise DataError(f"{where}: has {len(words)} values, but must be x1,y1,x2,y2,x3,y3,x4,y4. Correct it.")
            values = read_numbers(words, where)
            score = values[8] if len(values) > 8 else 1.0
            records.append(_record(numbers[file.name], score, values[:8], where))
    return records


def write_ctw1500_results(results: Results, path: Path, names: Mapping[int, str], *, score_threshold: float) -> None:
    """Write the text file.

    Args:
        results: Masks become their polygons.
        path: The text file.
        names: Of the images by id.
        score_threshold: Lines of text with at least this score are written.
    """
    found = defaultdict(list)
    for record in results:
        if record["score"] >= score_threshold:
            for polygon in found_polygons(record, polygon_of):
                found[record["image_id"]].append((record["score"], polygon))
    lines = [
        " ".join(map(str, [place, score, *polygon.ravel().tolist()]))
        for place, image_id in enumerate(names)
        for score, polygon in found[image_id]
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_ctw1500_results(path: Path, source: str, image_names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Results as records.

    Args:
        path: The text file.
        source: Of the split that is scored, for messages.
        image_names: Of its images by id.

    Raises:
        DataError: It cannot be read, or a line is not as it should be.
    """
    text = read_text(path, CTW1500_RESULTS)
    places = dict(enumerate(image_names))
    records = []
    for where, words in _lines(text, str(path), None):
        place, *values = read_numbers(words, where)
        if place not in places:
            raise DataError(
                f"{where}: there is no image {words[0]} in {source}, whose images are counted from 0 to "
                f"{len(places) - 1}. Give the results of this split."
            )
        if len(values) < 7 or not len(values) % 2:
            raise DataError(f"{where}: must be `image score x1 y1 x2 y2 x3 y3 ...`. Correct it.")
        records.append(_record(places[int(place)], values[0], values[1:], where))
    return records


def _record(image_id: int, score: float, points: list[float], where: str) -> dict[str, Any]:
    if not 0 <= score <= 1:
        raise DataError(f"{where}: the score {score:g} must be from 0 to 1. Correct it.")
    x, y = points[::2], points[1::2]
    box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
    return {"image_id": image_id, "category_id": 1, "score": score, "bbox": box, "segmentation": [points]}


def _lines(text: str, where: str, separator: str | None) -> Iterator[tuple[str, list[str]]]:
    """Values of each line that is not empty, and its place for messages."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{where}: line {number}", line.strip().strip(",").split(separator)


def _corners(record: dict[str, Any]) -> list[np.ndarray]:
    """[4, 2] whole pixels of a word's corners, cut as the official script cuts them, clockwise."""
    polygons = found_polygons(record, rectangle_of)
    if any(len(polygon) != 4 for polygon in polygons):
        polygons = rectangle_of(rle_crop(record["segmentation"]))
    whole = [polygon.astype(np.int64) for polygon in polygons]
    return [corners if _area(corners) >= 0 else corners[::-1] for corners in whole]


def _area(corners: np.ndarray) -> float:
    """Above 0 if the corners run clockwise on the screen."""
    x, y = corners.T
    return math.fsum((x * np.roll(y, -1) - np.roll(x, -1) * y).tolist()) / 2


class Icdar2015(TextBenchmark):
    """The words of ICDAR 2015, task 4.1."""

    name, title, layout = "icdar2015", "ICDAR 2015 incidental scene text", ICDAR_LAYOUT
    rules = ("icdar2015", "mmocr")
    find, read_words = staticmethod(find_icdar), staticmethod(read_icdar_words)
    write_results, read_results = staticmethod(write_icdar_results), staticmethod(read_icdar_results)


class Ctw1500(TextBenchmark):
    """The lines of CTW1500."""

    name, title, layout = "ctw1500", "CTW1500 curved text", CTW1500_LAYOUT
    rules = ("mmocr", "ctw1500")
    find, read_words = staticmethod(find_ctw1500), staticmethod(read_ctw1500_words)
    write_results, read_results = staticmethod(write_ctw1500_results), staticmethod(read_ctw1500_results)
