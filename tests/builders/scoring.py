"""Ground truth and predictions of a few lines, parsed and scored."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as oracle
from rich.console import Console, RenderableType

from maskrcnn.benchmarks.benchmark import Benchmark
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco import coco_sections, unique_names
from maskrcnn.evaluation.results import Results
from maskrcnn.evaluation.sections import Section

Content = Annotations | Mapping[str, Any] | Path


def coco(
    *objects: dict, size: tuple[int, int], images: Iterable[int] = (1,), classes: Mapping[int, str] | None = None
) -> dict[str, Any]:
    """What a COCO file holds: objects, images of one size (height, width) by their ids, and classes by theirs."""
    return {
        "images": [{"id": number, "height": size[0], "width": size[1]} for number in images],
        "categories": [{"id": number, "name": name} for number, name in (classes or {1: "cell"}).items()],
        "annotations": list(objects),
    }


def shown(renderable: RenderableType, width: int = 150) -> str:
    """What the terminal shows."""
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(renderable)
    return console.export_text()


def encode(bitmap: np.ndarray) -> dict:
    """A bitmap as RLE with text."""
    rle = oracle.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    return {"size": list(bitmap.shape), "counts": rle["counts"].decode()}


def rectangle(size: tuple[int, int], x: int, y: int, width: int, height: int) -> dict:
    """RLE of a filled box in an image of `size` (height, width)."""
    bitmap = np.zeros(size, dtype=np.uint8)
    bitmap[y : y + height, x : x + width] = 1
    return encode(bitmap)


def notched(side: int, box: list[int]) -> dict:
    """RLE of a box without its upper left corner, in a square image."""
    bitmap = np.zeros((side, side), dtype=np.uint8)
    x, y, width, height = box
    bitmap[y : y + height, x : x + width] = 1
    bitmap[y : y + height // 3, x : x + width // 2] = 0
    return encode(bitmap)


class Scores(NamedTuple):
    """The numbers of one IoU type; those of classes by name, and AP by category id."""

    numbers: Mapping[str, float | None]
    per_class: Mapping[str, Mapping[str, float | None]]
    per_category: dict[int, float | None]


def parsed(content: Content, records: Sequence[dict] | Path = ()) -> tuple[Annotations, Results]:
    """COCO files, or what they hold, as metrics want them."""
    if isinstance(content, Path):
        truth = Annotations.read(content)
    else:
        truth = content if isinstance(content, Annotations) else Annotations.parse(content)
    return truth, Results.read(records, truth) if isinstance(records, Path) else Results.parse(records, truth)


def coco_scores(content: Content, records: Sequence[dict] | Path = (), **options: Any) -> dict[str, Scores]:
    """The numbers of `coco_sections` by IoU type."""
    truth, results = parsed(content, records)
    names = unique_names(truth.categories)
    return {
        section.name: Scores(
            section.numbers, section.per_class, {key: section.per_class[name]["AP"] for key, name in names.items()}
        )
        for section in coco_sections(truth, results, **options)
    }


def sections(opened: Benchmark, records: Sequence[dict]) -> dict[str, Section]:
    """What a benchmark says of predictions, by the names of its rules."""
    return {section.name: section for section in opened.score(records)}


def numbers(opened: Benchmark, records: Sequence[dict]) -> dict[str, dict]:
    """The numbers by section."""
    return {name: dict(section.numbers) for name, section in sections(opened, records).items()}


def perfect(opened: Benchmark) -> list[dict]:
    """The annotated objects as predictions."""
    return [{**found, "score": 0.9} for found in opened.truth.objects]


def truth_of(*objects: tuple, count: int = 1, classes: int = 2) -> Annotations:
    """Annotations of boxes from (image, class, box, crowd), in images of 100 x 100 pixels."""
    annotations = [
        {"id": n, "image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd}
        for n, (image, category, box, crowd) in enumerate(objects)
    ]
    images = [{"id": n, "height": 100, "width": 100} for n in range(1, count + 1)]
    categories = [{"id": n, "name": f"class {n}"} for n in range(1, classes + 1)]
    return Annotations.parse({"images": images, "categories": categories, "annotations": annotations})


def found(image: int, category: int, box: list, score: float) -> dict:
    """A predicted box."""
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}
