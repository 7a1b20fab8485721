"""Answers to GRIT's questions, from records of predicted objects, and as the zip file that the leaderboard takes.

A fixed-class model answers a query whose text is the name of one of its classes, whatever the case, with all objects
of that class; other queries are answered with nothing. Records that were read from a leaderboard's file have
`example_id` and `task`: they are the answer to this sample as they stand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.readers.coco_records import is_number
from ...errors import DataError
from ..archives import Place, find_in_archive, write_archive
from .metric import GritAnswer
from .samples import FIELDS, Question, Questions, read_objects

RECORD_FIELDS = {"localization": "bbox", "segmentation": "segmentation"}
"""Of objects in records, by task."""
PARAMETERS = "params.json"
MILLIONS = "params_in_millions"

Answers = dict[str, dict[str, GritAnswer]]
"""By task and example."""


def answer_questions(questions: Questions, records: Sequence[dict[str, Any]], score_threshold: float) -> Answers:
    """The answers that records give to all samples.

    A task is answered if a record has what it asks for, a box or a mask; without any record, all tasks are. Objects
    with at least the threshold's score are answers; records are such as `check_record` passes.
    """
    by_class: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    by_example: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        if "example_id" in record:
            by_example[record["task"], record["example_id"]].append(record)
        elif record["score"] >= score_threshold:
            by_class[record["image_id"], record["category_id"]].append(record)
    answers: Answers = {}
    for task, asked in questions.tasks.items():
        if not records or any(_is_of(task, record) for record in records):
            answers[task] = {
                each.sample.example_id: _answer(
                    task,
                    by_example.get((task, each.sample.example_id))
                    or by_class.get((each.image_id, each.category_id), []),
                )
                for each in asked
            }
    return answers


def read_answers(path: Path, split: str, questions: Questions) -> list[dict[str, Any]]:
    """Records of a leaderboard's zip file or folder; a sample without objects has one record without a box or mask.

    Args:
        path: The zip file, or the folder with `<split>/`, or that folder.
        split: "ablation", "test" or "val".
        questions: Of the split.

    Raises:
        DataError: A file is broken, or a sample has no answer.
    """
    layout = f"{split}.zip with {split}/localization.json and {split}/segmentation.json"
    names = {task: f"{task}.json" for task in FIELDS}
    place = find_in_archive(path, list(names.values()), layout)
    records: list[dict[str, Any]] = []
    for task, name in names.items():
        asked = questions.tasks.get(task, ())
        found = _read_file(place / name, f"{path}: {name}") if (place / name).is_file() and asked else None
        if found is None:
            continue
        missing = [each.sample.example_id for each in asked if each.sample.example_id not in found]
        if missing:
            raise DataError(
                f"{path}: {name} has no answer to {len(missing)} of {len(asked)} samples, such as {missing[0]}. Add "
                "empty ones."
            )
        for each in asked:
            records += _read_answer(task, each, found[each.sample.example_id], f"{path}: {name}")
    return records


def write_answers(path: Path, split: str, answers: Answers, parameters: int) -> None:
    """Write the zip file that the leaderboard takes.

    Args:
        path: The zip file.
        split: "ablation" or "test".
        answers: To all samples of one or both tasks.
        parameters: Millions of parameters of the model.
    """
    members = {PARAMETERS: {MILLIONS: parameters}} | {
        f"{task}.json": [
            {"example_id": example, "confidence": answer.confidence, FIELDS[task]: list(map(_as_json, answer.objects))}
            for example, answer in found.items()
        ]
        for task, found in answers.items()
    }
    write_archive(path, ((f"{split}/{name}", json.dumps(content).encode()) for name, content in members.items()))


def _read_file(file: Place, name: str) -> dict[str, dict[str, Any]]:
    """Answers by example."""
    try:
        answers = json.loads(file.read_text(encoding="utf-8"))
        found = {answer["example_id"]: answer for answer in answers}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{name} must be a list of answers, each with its `example_id` ({error!r}). Write it again."
        ) from error
    if len(found) < len(answers):
        raise DataError(f"{name} has several answers to one sample. Leave one of each.")
    return found


def _read_answer(task: str, question: Question, answer: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    name = f"{name}: answer {question.sample.example_id}"
    confidence = answer.get("confidence")
    if not is_number(confidence) or not 0 <= confidence <= 1:
        raise DataError(f"{name}: `confidence` must be a number from 0 to 1, but is {confidence!r}. Correct it.")
    place = {"image_id": question.image_id, "category_id": question.category_id, "score": confidence}
    record = {**place, "task": task, "example_id": question.sample.example_id}
    objects = read_objects(task, answer.get(FIELDS[task]), name)
    if not objects:
        yield record
    for each in objects:
        if task == "segmentation":
            yield {**record, "segmentation": _as_json(each)}
        else:
            x1, y1, x2, y2 = each
            yield {**record, "bbox": [x1, y1, x2 - x1, y2 - y1]}


def _answer(task: str, records: Sequence[Mapping[str, Any]]) -> GritAnswer:
    given = [record for record in records if record.get(RECORD_FIELDS[task]) is not None]
    objects = [_object(task, record[RECORD_FIELDS[task]]) for record in given]
    if records and "example_id" in records[0]:
        return GritAnswer(records[0]["score"], objects)
    return GritAnswer(float(np.mean([record["score"] for record in given])) if given else 0.0, objects)


def _object(task: str, found: Any) -> Any:
    if task == "segmentation":
        return read_objects(task, [found], "results")[0]
    x, y, width, height = found
    return [x, y, x + width, y + height]


def _is_of(task: str, record: Mapping[str, Any]) -> bool:
    return record["task"] == task if "task" in record else record.get(RECORD_FIELDS[task]) is not None


def check_record(questions: Questions, record: Mapping[str, Any], name: str) -> None:
    """Refuse a record that answers no question.

    Raises:
        DataError: It is of an unknown image or class, or what it has cannot be used; `name` says which it is.
    """
    remedy = "Make the predictions again, for the images of this split."
    if record.get("image_id") not in questions.images:
        raise DataError(f"{name}: image_id {record.get('image_id')!r} is not among {len(questions.images)}. {remedy}")
    if record.get("category_id") not in questions.classes:
        raise DataError(
            f"{name}: category_id {record.get('category_id')!r} is not one of 1 to {len(questions.classes)}. {remedy}"
        )
    score = record.get("score")
    if not is_number(score) or not 0 <= score <= 1:
        raise DataError(f"{name}: score {score!r} must be a number from 0 to 1. {remedy}")
    for task, field in RECORD_FIELDS.items():
        if record.get(field) is not None:
            read_objects(task, [record[field]], name)


def _as_json(found: Any) -> Any:
    """A box as it is; RLE with their counts as text."""
    if isinstance(found, dict) and isinstance(found["counts"], bytes):
        return {**found, "counts": found["counts"].decode("ascii")}
    return found
