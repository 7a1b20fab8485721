"""The samples of GRIT: what is asked about which image, and where it is public, what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...data.readers.coco_objects import is_number
from ...errors import DataError
from ...evaluation.segmentations import rle
from ...ops.files import read_json
from .metric import STUFF, GritSample

FIELDS = {"localization": "bboxes", "segmentation": "masks"}
"""Of objects in answers and ground truth, by task."""
LAYOUT = "samples/{ablation,test}/{localization,segmentation}.json, images/"
GROUPS = "lemma2groups.json"


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
    found = {task: _read_list(file) for task, file in files.items() if file.is_file()}
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


def _read_list(file: Path) -> list[dict[str, Any]]:
    records = read_json(file)
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise DataError(f"{file}: must be a list of samples. Unpack GRIT again.")
    return records


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
