"""Text in images: ICDAR 2015 (words of four corners) and CTW1500 (lines of curved text)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ...data.readers.text import (
    CTW1500_LAYOUT,
    ICDAR_LAYOUT,
    Word,
    WordsFile,
    find_ctw1500,
    find_icdar,
    gather_words,
    read_ctw1500_words,
    read_icdar_words,
)
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...evaluation.text_report import text_sections
from ..benchmark import Benchmark
from .submission import read_ctw1500_results, read_icdar_results, write_ctw1500_results, write_icdar_results


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

    @abstractmethod
    def _files(self) -> list[WordsFile]: ...

    @abstractmethod
    def _read_words(self, path: Path) -> list[Word]: ...

    def open(self) -> None:
        files = self._files()
        self._annotated(gather_words(files, self._read_words, self.folder, self.folder))
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


class Icdar2015(TextBenchmark):
    """The words of ICDAR 2015, task 4.1."""

    name, title, layout = "icdar2015", "ICDAR 2015 incidental scene text", ICDAR_LAYOUT
    rules = ("icdar2015", "mmocr")

    def _files(self) -> list[WordsFile]:
        return find_icdar(self.folder, self.split)

    def _read_words(self, path: Path) -> list[Word]:
        return read_icdar_words(path)

    def _submit(self, results: Results, path: Path) -> None:
        write_icdar_results(results, path, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_icdar_results(path, self.source, self.image_names)


class Ctw1500(TextBenchmark):
    """The lines of CTW1500."""

    name, title, layout = "ctw1500", "CTW1500 curved text", CTW1500_LAYOUT
    rules = ("mmocr", "ctw1500")

    def _files(self) -> list[WordsFile]:
        return find_ctw1500(self.folder, self.split)

    def _read_words(self, path: Path) -> list[Word]:
        return read_ctw1500_words(path)

    def _submit(self, results: Results, path: Path) -> None:
        write_ctw1500_results(results, path, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_ctw1500_results(path, self.image_names)
