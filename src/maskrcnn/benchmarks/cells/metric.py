"""The scores of cell segmentation, from predicted masks: pixels, instances, objects and distances, each by its name.

Papers mean different things by "Dice", "F1" and "Hausdorff"; so every rule is a section, and says what it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...evaluation.annotations import Annotations
from ...evaluation.coco import unique_names
from ...evaluation.panoptic_quality import paint_images, paint_label_map
from ...evaluation.results import Results
from ...evaluation.sections import Numbers, Say, Section, say_nothing
from .instances import instance_numbers, label_overlaps
from .objects import ObjectSums, edge_distance, foreground_distance, object_numbers, object_sums, pooled_sums

INSTANCES = ("dice_pixel", "aji", "dq", "sq", "pq", "aji_plus", "dice_2")
OBJECTS = ("f1_object", "dice_object", "hausdorff_object")
FOREGROUND = ("hausdorff_foreground", "hausdorff_edges")
TITLES = {
    "instances": "pixels and instances",
    "glas": "objects, mean over images",
    "glas_pooled": "objects, pooled",
    "foreground": "foreground",
}
PROTOCOLS = {
    "instances": "HoVer-Net's evaluator (pairs of dq, sq and pq: IoU above 0.5), mean over images",
    "glas": "gland challenge (GlaS): each object and its partner, weighted by area; mean over images",
    "glas_pooled": "gland challenge (GlaS), counts and areas of all images together",
    "foreground": "Hausdorff distance of all cells' pixels, and of their edges as MONAI has it; mean over images",
}


class CellNumbers(NamedTuple):
    """Of one image.

    Args:
        numbers: Every number of `INSTANCES`, `OBJECTS` and `FOREGROUND`; None where it is undefined.
        sums: What the pooled numbers are made of.
    """

    numbers: dict[str, float | None]
    sums: ObjectSums


def cell_numbers(truth: np.ndarray, found: np.ndarray) -> CellNumbers:
    """All scores of one image.

    Args:
        truth: [H, W] integers, 0 where no cell is, and another number for each.
        found: [H, W] likewise.

    Returns:
        Fractions; distances in pixels, infinite where only one side has a cell.
    """
    overlaps = label_overlaps(truth, found)
    sums = object_sums(overlaps)
    foregrounds = overlaps.truth > 0, overlaps.found > 0
    distances = {
        "hausdorff_foreground": foreground_distance(*foregrounds),
        "hausdorff_edges": edge_distance(*foregrounds),
    }
    return CellNumbers({**instance_numbers(overlaps), **object_numbers(sums), **distances}, sums)


def mean_number(values: Sequence[float | None]) -> float | None:
    """Mean over the images that have the number; infinite if one is; None if none has it."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def cell_sections(
    truth: Annotations, results: Results, *, score_threshold: float, say: Say = say_nothing
) -> list[Section]:
    """Score predicted masks of cells by all rules.

    Predictions from the score threshold on are painted into one label map, the best first; a pixel belongs to one cell.
    Annotated cells are painted in the order of the file. Crowd regions are no cells, and nothing is ignored in them.
    Classes count alike; where there are several, each has a row too, of its own cells only.

    Args:
        truth: The annotated cells.
        results: Those without a mask count nothing.
        score_threshold: Predictions with at least this score count.
        say: Called with what is being scored.

    Returns:
        Sections `instances`, `glas`, `glas_pooled` and `foreground`. A mean leaves out the images for which the
        number is undefined, or infinite because only one side has a cell; its protocol says how many.
    """
    whole = _images(truth, results, score_threshold, say)
    classes = unique_names(truth.categories) if len(truth.categories) > 1 else {}
    rows = {
        name: _by_section(_images(truth, results, score_threshold, say, category)) for category, name in classes.items()
    }
    used = f"predictions with a score of at least {score_threshold:g}, painted without overlap"
    return [
        Section(
            name,
            TITLES[name],
            f"{PROTOCOLS[name]}; {used}{_left_out(name, whole)}",
            numbers,
            {row: parts[name] for row, parts in rows.items()},
            frozenset(key for key in numbers if key.startswith("hausdorff")),
        )
        for name, numbers in _by_section(whole).items()
    ]


def _images(
    truth: Annotations, results: Results, score_threshold: float, say: Say, category: int | None = None
) -> list[CellNumbers]:
    """The numbers of each image, of one category or of all."""
    cells = defaultdict(list)
    for one, mask in zip(truth.objects, truth.masks, strict=True):
        if not one.get("iscrowd") and category in (None, one["category_id"]):
            cells[one["image_id"]].append(mask)
    found = results.where(lambda record: category in (None, record["category_id"]))
    numbers: list[CellNumbers] = []
    for key, painted in paint_images(found, truth.sizes, score_threshold=score_threshold):
        say(f"image {len(numbers) + 1} of {len(truth.sizes)}")
        numbers.append(cell_numbers(paint_label_map(cells[key], truth.sizes[key]), painted))
    return numbers


def _by_section(images: Sequence[CellNumbers]) -> dict[str, Numbers]:
    pooled = object_numbers(pooled_sums([image.sums for image in images]))
    return {
        "instances": _means(images, INSTANCES),
        "glas": _means(images, OBJECTS),
        "glas_pooled": pooled if images else dict.fromkeys(OBJECTS),
        "foreground": _means(images, FOREGROUND),
    }


def _means(images: Sequence[CellNumbers], names: Sequence[str]) -> Mapping[str, float | None]:
    return {
        name: mean_number([image.numbers[name] for image in images if _is_known(image.numbers[name])]) for name in names
    }


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _left_out(section: str, images: Sequence[CellNumbers]) -> str:
    names = {"instances": INSTANCES, "glas": OBJECTS, "foreground": FOREGROUND}.get(section, ())
    counts = {name: sum(not _is_known(image.numbers[name]) for image in images) for name in names}
    missing = [f"{count} of {name}" for name, count in counts.items() if count]
    return f"; images without the number, left out of its mean: {', '.join(missing)}" if missing else ""
