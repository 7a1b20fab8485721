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
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...evaluation.annotations import rle
from ...ops.files import parse_json, read_json
from ...structures.coco_forms import is_number
from ..benchmark import Place, find_in_archive, list_of_records, write_archive
from .metric import STUFF, GritAnswer, GritSample

FIELDS = {"localization": "bboxes", "segmentation": "masks"}
"""Of objects in answers and ground truth, by task."""
LAYOUT = "samples/{ablation,test}/{localization,segmentation}.json, images/"
GROUPS = "lemma2groups.json"
RECORD_FIELDS = {"localization": "bbox", "segmentation": "segmentation"}
"""Of objects in records, by task."""
PARAMETERS = "params.json"
MILLIONS = "params_in_millions"
Answers = dict[str, dict[str, GritAnswer]]
"""By task and example."""


class Question(NamedTuple):
    """A sample, and the numbers that its image and its class have in records.

    Args:
        image_id: Of the image; a sample that names none has its own.
        category_id: Of the class that its query names.
        image: The image's file below `images/`.
    """

    sample: GritSample
    image_id: int
    category_id: int
    image: str | None


class Questions(NamedTuple):
    """All samples of a split.

    Args:
        tasks: By task.
        images: Images by their ids; None: not named.
        classes: Names by category id, without "(Stuff)".
    """

    tasks: dict[str, list[Question]]
    images: dict[int, str | None]
    classes: dict[int, str]

    @property
    def public(self) -> bool:
        """Whether it is known what is there."""
        return all(each.sample.objects is not None for found in self.tasks.values() for each in found)


def read_questions(folder: Path, split: str) -> Questions:
    """Read the samples of a split, public ones (`example_id`, `image_id`, `task_query`) or the evaluator's own.

    Those are {"input": {"example_id", "image_id", "task_query"}, "output": {"bboxes" or "masks"}, "meta":
    {"is_new_source", "has_new_concept", "is_distorted", "concepts": [{"lemma"}]}}, where `meta` may lack any of these.

    Raises:
        DataError: There is no file of a task, or a sample of it cannot be used.
    """
    files = {task: folder / "samples" / split / f"{task}.json" for task in FIELDS}
    found = {task: list_of_records(str(file), read_json(file)) for task, file in files.items() if file.is_file()}
    if not found:
        raise DataError(
            f"{folder / 'samples' / split}: neither localization.json nor segmentation.json of GRIT's {split} is "
            f"there. Unpack GRIT into {folder}, so that it holds {LAYOUT}."
        )
    groups = read_json(folder / GROUPS) if (folder / GROUPS).is_file() else {}
    rows = [
        (task, one, _read_sample(files[task], task, one, groups)) for task, records in found.items() for one in records
    ]
    names = {query_class(sample.query).casefold(): query_class(sample.query) for _, _, sample in reversed(rows)}
    numbers = {key: number for number, key in enumerate(sorted(names), start=1)}
    keys = [_image(one) or (sample.example_id, task) for task, one, sample in rows]
    places = {key: number for number, key in enumerate(sorted(set(keys), key=str), start=1)}
    tasks: dict[str, list[Question]] = {task: [] for task in found}
    for (task, one, sample), key in zip(rows, keys, strict=True):
        category = numbers[query_class(sample.query).casefold()]
        tasks[task].append(Question(sample, places[key], category, _image(one)))
    images = {number: key if isinstance(key, str) else None for key, number in places.items()}
    return Questions(tasks, images, {number: names[key] for key, number in numbers.items()})


def query_class(query: str) -> str:
    """The class that a query names."""
    return query.replace(STUFF, "").strip()


def _read_sample(file: Path, task: str, one: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> GritSample:
    given, meta, output = one.get("input") or one, one.get("meta") or {}, one.get("output") or {}
    name, query = given.get("example_id"), given.get("task_query")
    if not isinstance(name, str) or not isinstance(query, str):
        raise DataError(
            f"{file}: the sample {one!r:.80} must have an `example_id` and a `task_query`, two texts. Unpack GRIT "
            "again."
        )
    objects = output.get(FIELDS[task])
    if objects is not None:
        objects = read_objects(task, objects, f"{file}: sample {name}")
    lemmas = [concept.get("lemma") for concept in meta.get("concepts") or []]
    return GritSample(
        name,
        query,
        objects,
        frozenset(group for lemma in lemmas for group in groups.get(lemma, ())),
        bool(meta.get("is_new_source")),
        bool(meta.get("has_new_concept")),
        bool(meta.get("is_distorted")),
    )


def read_objects(task: str, objects: Any, name: str) -> list[Any]:
    """Boxes x1, y1, x2, y2 or compressed RLE, checked.

    Args:
        task: Of `FIELDS`.
        objects: Of an answer or a ground truth.
        name: Of the sample, for messages.

    Raises:
        DataError: They are something else.
    """
    rule = "`bboxes` must be lists of four finite numbers x1, y1, x2, y2"
    if not isinstance(objects, list):
        raise DataError(f"{name}: `{FIELDS[task]}` must be a list, but is {objects!r:.60}. Correct the file.")
    if task == "segmentation":
        return [_read_mask(mask, name) for mask in objects]
    for box in objects:
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
            raise DataError(f"{name}: {rule}, but one is {box!r:.60}. Correct the file.")
    return objects


def _read_mask(mask: Any, name: str) -> dict[str, Any]:
    try:
        height, width = mask["size"]
        return rle(mask, (height, width))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name}: one of its `masks` is no RLE of COCO ({error}). Correct the file.") from error


def _image(one: Mapping[str, Any]) -> str | None:
    given = one.get("input") or one
    path = given.get("image_id", given.get("image_path"))
    return path if isinstance(path, str) else None


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
    for task, of_task in questions.tasks.items():
        if not records or any(_is_of(task, record) for record in records):
            answers[task] = {
                each.sample.example_id: _answer(
                    task,
                    by_example.get((task, each.sample.example_id))
                    or by_class.get((each.image_id, each.category_id), []),
                )
                for each in of_task
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
        of_task = questions.tasks.get(task, ())
        found = _read_file(place / name, f"{path}: {name}") if (place / name).is_file() and of_task else None
        if found is None:
            continue
        missing = [each.sample.example_id for each in of_task if each.sample.example_id not in found]
        if missing:
            raise DataError(
                f"{path}: {name} has no answer to {len(missing)} of {len(of_task)} samples, such as {missing[0]}. Add "
                "empty ones."
            )
        for each in of_task:
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
    answers = list_of_records(name, parse_json(file.read_bytes(), name))
    if not all(isinstance(answer.get("example_id"), str) for answer in answers):
        raise DataError(f"{name}: each answer must have its `example_id`, a text. Write it again.")
    found = {answer["example_id"]: answer for answer in answers}
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
