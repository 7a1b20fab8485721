"""The region proposals of a whole dataset: written to a file, and how many of the objects are among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset, has_objects
from ..data.dataset_range import with_dataset_range
from ..data.loading import evaluation_batches
from ..data.proposals import Listed, join_proposals, read_proposals, write_proposals
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.collect import collect_proposals
from ..evaluation.recall import average_recall
from ..model.proposals import find_proposals
from ..structures.batch import Batch
from ..structures.instances import Instances
from ..weights.pickles import read_pickle, to_tensor
from .predictor import Predictor

PICKLED = (".pkl", ".pickle")
RENAMED = {"indexes": "ids", "scores": "objectness_logits"}
"""Names of Detectron and what detectron2 calls the same."""
CORNERS = 0
"""Of detectron2's `BoxMode`: x1, y1, x2, y2 in pixels."""


def propose_for(
    predictor: Predictor,
    data: Dataset,
    path: Path,
    *,
    batch_size: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run backbone and region proposal network on every image, write the proposals, and score them.

    Args:
        predictor: The model.
        data: Images, with objects or without.
        path: The file; its ending says the form, see `data.proposals`.
        batch_size, workers: As for `evaluation_batches`.
        on_progress: Called with the number of images that are done since the last call.

    Returns:
        Counts of `images`, `objects` and `proposals`; where there are objects to find, `recall` of `average_recall`.

    Raises:
        DataError: An image cannot be read, or the file has another ending.
    """
    truth = Annotations.parse(data.to_coco(), source=data.source.name)
    proposals: dict[int, Instances] = {}

    def propose(images: Batch) -> list[Instances]:
        return find_proposals(predictor.model, predictor.placed(images))

    files = [record.path for record in data.records if record.pixels is None]
    inputs, _ = with_dataset_range(predictor.settings.input, files)

    def remembered() -> Iterator[tuple[int, Instances]]:
        batches = evaluation_batches(data.records, inputs, batch_size=batch_size, workers=workers)
        for image_id, instances in collect_proposals(propose, batches, on_progress=on_progress):
            proposals[image_id] = instances
            yield image_id, instances

    write_proposals(path, remembered())
    report = {
        "annotations": truth.source,
        "images": len(truth.sizes),
        "objects": len(truth.objects),
        "proposals": sum(map(len, proposals.values())),
    }
    if any(map(has_objects, data.records)):
        report["recall"] = average_recall(truth, proposals)
    return report


def read_proposal_file(path: Path, data: Dataset, *, most: int) -> Dataset:
    """The dataset with the proposals of a file of any kind that is known.

    Args:
        path: .pkl of Detectron or detectron2, or as for `read_proposals`.
        data, most: As for `join_proposals`.

    Raises:
        DataError: The file cannot be read, or does not fit the dataset.
        WeightsError: A .pkl file is damaged, or holds more than arrays and plain values.
    """
    if path.suffix.lower() not in PICKLED:
        return read_proposals(path, data, most=most)
    return join_proposals(data, list_pickled(path), source=str(path), most=most)


def list_pickled(path: Path) -> Iterator[Listed]:
    """The images of a file of Detectron (`boxes`, `scores`, `indexes`) or detectron2 (`objectness_logits`, `ids`).

    Nothing in the file is executed.
    """
    try:
        content = read_pickle(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    columns = {RENAMED.get(name, name): values for name, values in content.items()} if _is_dict(content) else {}
    if not {"boxes", "ids", "objectness_logits"} <= columns.keys() or columns.get("bbox_mode", CORNERS) != CORNERS:
        raise DataError(
            f"{path}: has no lists `boxes` (x1, y1, x2, y2), `scores` and `ids` as Detectron's and detectron2's files "
            "of proposals have. Write proposals with `maskrcnn propose`, or as COCO results."
        )
    names = ("ids", "boxes", "objectness_logits")
    try:
        rows = list(zip(*(_items(columns[name]) for name in names), strict=True))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: `boxes`, `scores` and `ids` must be lists of one length ({error}).") from error
    for number, (image_id, boxes, logits) in enumerate(rows):
        place = f"entry {number}"
        try:
            listed = Listed(_number(image_id), _array(boxes).reshape(-1, 4), _array(logits).reshape(-1), place)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{path}: {place}: is no number of an image with boxes and scores ({error}).") from error
        yield listed


def _is_dict(content: Any) -> bool:
    return isinstance(content, dict)


def _items(values: Any) -> Any:
    tensor = to_tensor(values)
    return values if tensor is None else tensor.tolist()


def _number(value: Any) -> int:
    tensor = to_tensor(value)
    value = value if tensor is None else tensor.item()
    if not isinstance(value, int | float | str):
        raise TypeError(f"the id is a {type(value).__name__}")
    return int(value)


def _array(values: Any) -> Any:
    tensor = to_tensor(values)
    if tensor is None and not _is_flat(values):
        raise TypeError("lists in lists")
    return np.asarray(values if tensor is None else tensor.numpy(), dtype=np.float64)


def _is_flat(values: Any) -> bool:
    """Whether a list holds numbers, or lists of at most four; deeper ones could multiply without end."""
    if not isinstance(values, list | tuple):
        return False
    rows = [row for row in values if not isinstance(row, int | float)]
    return all(
        isinstance(row, list | tuple) and len(row) <= 4 and all(isinstance(one, int | float) for one in row)
        for row in rows
    )
