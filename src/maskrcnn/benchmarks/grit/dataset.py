"""GRIT, localization and segmentation (Gupta et al. 2022, https://github.com/allenai/grit_official).

The objects that a text names, in images of many sources. The ground truth is not public: the leaderboard scores what
is submitted. Where samples have their `output`, as the leaderboard's own files and the split `val` that people lay out
for data of their own, the same scores are computed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.dataset import Contents, Dataset
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...ops.files import read_json
from ...progress import counted
from ..benchmark import Benchmark
from .metric import grit_sections
from .submission import (
    LAYOUT,
    MILLIONS,
    PARAMETERS,
    answer_questions,
    check_record,
    read_answers,
    read_questions,
    write_answers,
)


class Grit(Benchmark):
    """GRIT's queries; records that answer one sample, of a leaderboard's file, have its `example_id` and `task`."""

    name, title, layout = "grit", "GRIT localization and segmentation", LAYOUT
    splits = ("ablation", "test", "val")
    thresholded = True
    submits = "file"

    def open(self) -> None:
        source = self.folder / "samples" / self.split
        self._questions = questions = read_questions(self.folder, self.split)
        coco: dict[str, Any] = {
            "images": [{"id": number, "file_name": image} for number, image in questions.images.items()],
            "categories": [{"id": number, "name": name} for number, name in questions.classes.items()],
            "annotations": [],
        }
        known = Annotations(str(source), dict.fromkeys(questions.images, (0, 0)), questions.classes, [])
        self._annotated(Contents(source, self.folder / "images", coco), known, public=questions.public, coco=False)
        of_task = [each for found in questions.tasks.values() for each in found]
        self.counts = {
            "images": len(questions.images),
            "objects": sum(len(each.sample.objects or ()) for each in of_task),
            "samples": len(of_task),
        }

    def dataset(self) -> Dataset:
        unnamed = [number for number, image in self._questions.images.items() if image is None]
        if unnamed:
            raise DataError(
                f"{self.source}: {counted(len(unnamed), 'sample')} without an image. Give each its `image_id`, "
                f"the path below {self.contents.images}."
            )
        return super().dataset()

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        """Predictions checked against the questions; the sizes of the images are not known."""
        if isinstance(records, Results):
            return records
        given = tuple(records)
        for number, record in enumerate(given):
            check_record(self._questions, record, f"{source}: record {number}")
        return Results(given, source)

    def require_submittable(self) -> None:
        self._parameters()

    def _score(self, results: Results, say: Say) -> list[Section]:
        samples = {task: [each.sample for each in of_task] for task, of_task in self._questions.tasks.items()}
        note = f"Answers are the objects of the query's class with a score from {self.score_threshold:g}"
        answers = answer_questions(self._questions, results, self.score_threshold)
        return grit_sections(samples, answers, note=note, say=say)

    def _submit(self, results: Results, path: Path) -> None:
        answers = answer_questions(self._questions, results, self.score_threshold)
        write_answers(path, self.split, answers, self._parameters())

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_answers(path, self.split, self._questions)

    def _parameters(self) -> int:
        file = self.folder / PARAMETERS
        found = read_json(file) if file.is_file() else None
        count = found.get(MILLIONS) if isinstance(found, dict) else None
        if not isinstance(count, int) or count < 1:
            raise DataError(
                f"{file}: GRIT's leaderboard asks for the model's parameters in millions. Write them there, such as "
                f'{{"{MILLIONS}": 44}} for a Mask R-CNN with a ResNet-50.'
            )
        return count
