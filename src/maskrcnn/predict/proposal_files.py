"""Files of region proposals of every kind: maskrcnn's own, COCO's results, and those of Detectron."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..data.proposals import Listed, join_proposals, read_proposals
from ..errors import DataError
from ..weights.pickles import read_pickle, to_tensor

PICKLED = (".pkl", ".pickle")
RENAMED = {"indexes": "ids", "scores": "objectness_logits"}
"""Names of Detectron and what detectron2 calls the same."""
CORNERS = 0
"""Of detectron2's `BoxMode`: x1, y1, x2, y2 in pixels."""


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
    for number, (image_id, boxes, logits) in enumerate(zip(*(_items(columns[name]) for name in names), strict=True)):
        place = f"entry {number}"
        yield Listed(int(image_id), _array(boxes).reshape(-1, 4), _array(logits).reshape(-1), place)


def _is_dict(content: Any) -> bool:
    return isinstance(content, dict)


def _items(values: Any) -> Any:
    tensor = to_tensor(values)
    return values if tensor is None else tensor.tolist()


def _array(values: Any) -> Any:
    tensor = to_tensor(values)
    return np.asarray(values if tensor is None else tensor.numpy(), dtype=np.float64)
