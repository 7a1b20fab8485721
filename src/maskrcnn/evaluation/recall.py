"""How many of the objects are among a model's proposals: COCO's average recall, of whatever class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from faster_coco_eval import COCOeval_faster
from rich.table import Table

from ..structures.instances import Instances
from .annotations import Annotations
from .coco import AREAS
from .coco_input import as_dataset, found_objects, silent

LIMITS = (100, 300, 1000)
"""How many of an image's proposals count: the numbers of the RPN and FPN papers."""
NAMES = {"": "all", "s": "small", "m": "medium", "l": "large"}
TOGETHER = 100
"""Images that are matched at once, because the evaluator makes a dictionary of every box."""
CATEGORY = 1


def average_recall(
    truth: Annotations, found: Mapping[int, Instances], *, limits: Sequence[int] = LIMITS
) -> dict[str, float]:
    """Average recall of boxes over IoU 0.50:0.05:0.95 (Hosang et al. 2016; as COCO computes it without classes).

    Crowds are not to be found. An image's proposals count in the order of their scores.

    Args:
        truth: The annotated objects.
        found: Proposals with scores of each image by its id, in the image's own pixels; an image may be missing.
        limits: How many proposals of an image count.

    Returns:
        `AR@100` and so on for each limit, and `ARs@100`, `ARm@100`, `ARl@100` for small (up to 32 x 32 pixels), medium
        and large (from 96 x 96) objects; fractions, -1 where there are no such objects.
    """
    limits = sorted(limits)
    objects: dict[int, list[dict]] = {image_id: [] for image_id in truth.sizes}
    for one in truth.complete:
        objects[one["image_id"]].append({**one, "category_id": CATEGORY})
    hits = np.zeros((10, len(AREAS), len(limits)))
    totals = np.zeros(len(AREAS))
    for image_ids in _groups(truth.sizes):
        annotated = [one for image_id in image_ids for one in objects[image_id]]
        there = np.array([_count(annotated, *area) for area in AREAS.values()])
        records = [one for image_id in image_ids for one in _records(image_id, found.get(image_id))]
        recall = _recall(image_ids, truth, annotated, records, limits)
        hits += np.rint(recall.clip(min=0) * there[:, None])
        totals += there
    return {
        f"AR{area}@{limit}": float(hits[:, a, m].mean() / totals[a]) if totals[a] else -1.0
        for a, area in enumerate(AREAS)
        for m, limit in enumerate(limits)
    }


def recall_table(recall: Mapping[str, float]) -> Table:
    """The numbers of `average_recall` in percent for the terminal: a row per size of the objects."""
    limits = [name.removeprefix("AR@") for name in recall if name.startswith("AR@")]
    table = Table("objects", *(f"AR@{limit}" for limit in limits))
    for area, words in NAMES.items():
        values = [recall[f"AR{area}@{limit}"] for limit in limits]
        table.add_row(words, *("-" if value < 0 else f"{100 * value:.1f}" for value in values))
    return table


def _groups(image_ids: Mapping[int, object]) -> Iterator[list[int]]:
    remaining = iter(image_ids)
    while group := list(islice(remaining, TOGETHER)):
        yield group


def _count(objects: list[dict], low: float, high: float) -> int:
    """Objects that are to be found; both ends belong to the range."""
    return sum(not one["iscrowd"] and low <= one["area"] <= high for one in objects)


def _records(image_id: int, found: Instances | None) -> list[dict]:
    if found is None:
        return []
    if found.scores is None:
        raise ValueError("proposals need scores, but these have none")
    boxes = found.boxes.detach().double().cpu()
    boxes[:, 2:] -= boxes[:, :2]
    return [
        {"image_id": image_id, "category_id": CATEGORY, "score": score, "bbox": box}
        for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True)
    ]


def _recall(
    image_ids: list[int], truth: Annotations, objects: list[dict], records: list[dict], limits: list[int]
) -> np.ndarray:
    """[10, areas, limits] recall on some images; below 0 where there is nothing to find."""
    sizes = {image_id: truth.sizes[image_id] for image_id in image_ids}
    part = Annotations(truth.source, sizes, {CATEGORY: "object"}, [])
    annotated, proposed = as_dataset(part, objects), as_dataset(part, found_objects(part, records, "bbox"))
    evaluation = COCOeval_faster(annotated, proposed, iouType="bbox", print_function=silent)
    evaluation.params.maxDets = limits
    evaluation.params.areaRng = [list(area) for area in AREAS.values()]
    evaluation.params.areaRngLbl = list(NAMES.values())
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["recall"][:, 0]
