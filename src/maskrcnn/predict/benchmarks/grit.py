"""GRIT, localization and segmentation (Gupta et al. 2022, https://github.com/allenai/grit_official).

The objects that a text names, in pictures of many sources. The ground truth is not public: the leaderboard scores what
is submitted. Where samples have their `output`, as the leaderboard's own files and the split `val` that people lay out
for data of their own, the same scores are computed here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...data.readers.coco import to_data
from ...data.records import CocoData, Contents
from ...errors import DataError
from ...evaluation.grit_sections import grit_sections
from ...evaluation.sections import Say, Section
from ...ops.json_files import read_json
from .benchmark import Benchmark, Opened, Records
from .grit_answers import (
    MILLIONS,
    PARAMETERS,
    SCORE_THRESHOLD,
    answer_questions,
    read_answers,
    write_answers,
)
from .grit_samples import LAYOUT, Questions, read_questions

SPLITS = ("ablation", "test", "val")


def open_grit(folder: Path, split: str) -> Opened:
    """Find a split of GRIT.

    Raises:
        DataError: Its samples are not there or broken.
    """
    questions = read_questions(folder, split)
    return _opened(folder, split, questions, SCORE_THRESHOLD)


def _opened(folder: Path, split: str, questions: Questions, threshold: float) -> Opened:
    source = folder / "samples" / split

    def score(records: Records, say: Say) -> list[Section]:
        samples = {task: [each.sample for each in asked] for task, asked in questions.tasks.items()}
        note = f"Answers are the objects of the query's class with a score from {threshold:g}"
        return grit_sections(samples, answer_questions(questions, records, threshold), note=note, say=say)

    def submit(records: Records, path: Path) -> None:
        write_answers(path, split, answer_questions(questions, records, threshold), _parameters(folder))

    asked = [each for found in questions.tasks.values() for each in found]
    return Opened(
        source=str(source),
        pictures=partial(_pictures, source, folder / "images", questions),
        score=score if questions.public else None,
        submit=submit,
        require_submittable=partial(_parameters, folder),
        counts={
            "pictures": len(questions.images),
            "objects": sum(len(each.sample.objects or ()) for each in asked),
            "samples": len(asked),
        },
        at=partial(_opened, folder, split, questions),
    )


def _pictures(source: Path, images: Path, questions: Questions) -> CocoData:
    unnamed = [number for number, image in questions.images.items() if image is None]
    if unnamed:
        raise DataError(
            f"{source}: {len(unnamed)} samples name no picture. Give each its `image_id`, the path below {images}."
        )
    coco: dict[str, Any] = {
        "images": [{"id": number, "file_name": image} for number, image in questions.images.items()],
        "categories": [{"id": number, "name": name} for number, name in questions.classes.items()],
        "annotations": [],
    }
    return to_data(Contents(source, images, coco))


def _parameters(folder: Path) -> int:
    file = folder / PARAMETERS
    found = read_json(file) if file.is_file() else None
    count = found.get(MILLIONS) if isinstance(found, dict) else None
    if not isinstance(count, int) or count < 1:
        raise DataError(
            f"{file}: GRIT's leaderboard asks for the model's parameters in millions. Write them there, such as "
            f'{{"{MILLIONS}": 44}} for a Mask R-CNN with a ResNet-50.'
        )
    return count


def _read(path: Path, opened: Opened) -> Records:
    source = Path(opened.source)
    return read_answers(path, source.name, read_questions(source.parent.parent, source.name))


GRIT = Benchmark("GRIT localization and segmentation", LAYOUT, SPLITS, open_grit, read=_read)
