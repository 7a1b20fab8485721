"""Files of region proposals: boxes that are computed once and take the place of the network's own (Girshick 2015).

`.jsonl` has one line per image: {"image_id": 1, "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}. `.json` is COCO's
list of results, one record per box: {"image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "score": 0.9}.
Both are in the images' own pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import DataError
from ..ops.files import parse_json, replacing
from ..structures.instances import Instances
from .dataset import Dataset, Record

SUFFIXES = (".jsonl", ".json")
REMEDY = "Copy the file again, or write it with `maskrcnn propose`."
SLACK = 1.0
"""Pixels by which a box may leave its image; other libraries count pixels from 1, or the last one twice."""


class Listed(NamedTuple):
    """The proposals of one image as a file has them.

    Args:
        image_id: The dataset's id of the image.
        boxes: [N, 4] x1, y1, x2, y2.
        scores: [N], by which they are ordered; None: they are in order.
        place: Where they stand in the file, for messages.
    """

    image_id: int
    boxes: np.ndarray
    scores: np.ndarray | None
    place: str


def check_proposals_name(path: Path) -> None:
    """Refuse a name for a file that is to be written whose ending says neither form.

    Raises:
        DataError: With the endings that do.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path}: proposals are written to {SUFFIXES[0]} (one line per image) or {SUFFIXES[1]} (COCO's list of "
            "results, larger). Give the file one of these endings."
        )


def write_proposals(path: Path, found: Iterable[tuple[int, Instances]]) -> None:
    """Write proposals, whole or not at all, as they come.

    Args:
        path: The file; its ending says the form.
        found: Image id and proposals with scores of each image, in the image's own pixels.
    """
    check_proposals_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        if path.suffix == SUFFIXES[0]:
            file.writelines(_line(image_id, one) for image_id, one in found)
            return
        start = "[\n"
        for record in _records(found):
            file.write(start + json.dumps(record, separators=(",", ":")))
            start = ",\n"
        file.write("\n]\n" if start[0] == "," else "[]\n")


def read_proposals(path: Path, data: Dataset, *, most: int) -> Dataset:
    """The dataset with the proposals of a file in its records; see `join_proposals`.

    Raises:
        DataError: The file cannot be read, or does not fit the dataset.
    """
    return join_proposals(data, list_proposals(path), source=str(path), most=most)


def join_proposals(data: Dataset, listed: Iterable[Listed], *, source: str, most: int) -> Dataset:
    """The dataset with proposals in its records. Boxes are cut at the edges, and those without area left out.

    Args:
        data: Every image of it must be listed; others may be listed too.
        listed: Proposals of each image.
        source: Where they come from, for messages.
        most: How many of the best are kept per image.

    Raises:
        DataError: An image is missing or listed twice, or a box is not in its image.
    """
    records = {record.image_id: record for record in data.records}
    chosen: dict[int, torch.Tensor] = {}
    for one in listed:
        if one.image_id in chosen:
            raise DataError(f"{source}: {one.place}: image id {one.image_id} was there before. Keep one of them.")
        if one.image_id in records:
            chosen[one.image_id] = _best(one, records[one.image_id], source, most)
    missing = [record for record in data.records if record.image_id not in chosen]
    if missing:
        raise DataError(
            f"{source}: {len(missing)} of the {len(records)} images of {data.source} have no proposals, the first is "
            f"image id {missing[0].image_id} ({missing[0].path.name}). Compute them for this data with `maskrcnn "
            "propose`; an image without any needs a line with empty boxes in a .jsonl file."
        )
    return replace(data, records=[replace(one, proposals=chosen[one.image_id]) for one in data.records])


def without_proposals(data: Dataset) -> Dataset:
    """The dataset as it is without a file of proposals."""
    return replace(data, records=[replace(record, proposals=None) for record in data.records])


def list_proposals(path: Path) -> Iterator[Listed]:
    """The images of a file in either form, whatever its name.

    Raises:
        DataError: Naming what cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if file.read(1) == "[":
                yield from _from_results(path, "[" + file.read())
                return
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _from_line(path, line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a file that `maskrcnn propose` wrote.") from error


def _from_line(path: Path, line: str, number: int) -> Listed:
    place = f"line {number}"
    content = parse_json(line, f"{path}: {place}", remedy=REMEDY)
    try:
        boxes = np.array(content["boxes"], dtype=np.float64).reshape(-1, 4)
        scores = content.get("scores")
        return Listed(int(content["image_id"]), boxes, None if scores is None else np.array(scores, float), place)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f'{path}: {place}: {line.strip():.60} is not {{"image_id": 1, "boxes": [[x1, y1, x2, y2], ...], "scores": '
            "[...]}. Correct it, or write the file again with `maskrcnn propose`."
        ) from error


def _from_results(path: Path, text: str) -> Iterator[Listed]:
    rows: dict[int, list[list[float]]] = {}
    for number, record in enumerate(parse_json(text, str(path), remedy=REMEDY)):
        try:
            x, y, width, height = map(float, record["bbox"])
            row = [x, y, x + width, y + height, float(record["score"])]
            rows.setdefault(int(record["image_id"]), []).append(row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: record {number}: {record!r:.60} lacks a number or one of image_id, bbox (x, y, width, "
                "height) and score. Correct it, or write the file again with `maskrcnn propose`."
            ) from error
    for image_id, found in rows.items():
        values = np.array(found)
        yield Listed(image_id, values[:, :4], values[:, 4], f"image id {image_id}")


def _best(one: Listed, record: Record, source: str, most: int) -> torch.Tensor:
    """[P, 4] float32 the first proposals, inside of the image."""
    where = f"{source}: {one.place}"
    boxes, scores = one.boxes, one.scores
    if scores is not None and len(scores) != len(boxes):
        raise DataError(f"{where}: {len(boxes)} boxes but {len(scores)} scores. Give one for each, or no scores.")
    height, width = record.size
    edges = np.array([width, height, width, height])
    inside = np.isfinite(boxes) & (boxes >= -SLACK) & (boxes <= edges + SLACK)
    if not inside.all():
        number = int(np.flatnonzero(~inside.all(axis=1))[0])
        raise DataError(
            f"{where}: box {boxes[number].tolist()} does not lie in its image ({record.path.name}, image id "
            f"{record.image_id}, {width} x {height} px). The file is of other images, or its boxes are not "
            "x1, y1, x2, y2 in their pixels."
        )
    if scores is not None:
        boxes = boxes[np.argsort(-scores, kind="stable")]
    boxes = boxes.clip(0, edges)
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)][:most]
    return torch.from_numpy(boxes.astype(np.float32))


def _line(image_id: int, found: Instances) -> str:
    content = {"image_id": image_id, "boxes": _rounded(found.boxes, 2), "scores": _scores(found)}
    return json.dumps(content, separators=(",", ":")) + "\n"


def _records(found: Iterable[tuple[int, Instances]]) -> Iterator[dict[str, Any]]:
    for image_id, one in found:
        sides = torch.cat([one.boxes[:, :2], one.boxes[:, 2:] - one.boxes[:, :2]], dim=1)
        for box, score in zip(_rounded(sides, 2), _scores(one), strict=True):
            yield {"image_id": image_id, "category_id": 1, "bbox": box, "score": score}


def _scores(found: Instances) -> Sequence[float]:
    if found.scores is None:
        raise ValueError("proposals need scores, but these have none")
    return _rounded(found.scores, 5)


def _rounded(values: torch.Tensor, digits: int) -> list:
    return values.detach().double().cpu().numpy().round(digits).tolist()
