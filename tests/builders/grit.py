"""GRIT with small images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.builders.scoring import rectangle

SIZE = (20, 30)

BOXES = [[1, 2, 11, 12], [15, 2, 25, 18]]


def rle(x1: int, y1: int, x2: int, y2: int) -> dict:
    """A filled box as COCO RLE."""
    return rectangle(SIZE, x1, y1, x2 - x1, y2 - y1)


def sample(name: str, query: str, image: str | None, objects: list | None = None, **meta: Any) -> dict:
    """As the leaderboard has it; without objects as it is public."""
    given = {"example_id": name, "task_query": query} | ({"image_id": image} if image else {})
    if objects is None:
        return given
    fields = {"bboxes": objects, "masks": None} if isinstance(objects[0], list) else {"masks": objects}
    return {"input": given, "output": {"example_id": name, **fields}, "meta": meta}


def lay_out(root: Path, split: str = "val", **tasks: list[dict]) -> Path:
    """GRIT as it is downloaded."""
    folder = root / "samples" / split
    folder.mkdir(parents=True)
    for task, samples in tasks.items():
        (folder / f"{task}.json").write_text(json.dumps(samples))
        for one in samples:
            path = one.get("input", one).get("image_id")
            if path:
                (root / "images" / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "images" / path)
    return root


def with_truth(root: Path, split: str = "val") -> Path:
    """Four samples of each task, half of them from a new source."""
    masks = [rle(*box) for box in BOXES]
    return lay_out(
        root,
        split,
        localization=[sample(f"l{n}", "cat", f"{n}.jpg", BOXES, is_new_source=n > 1) for n in range(4)],
        segmentation=[sample(f"s{n}", "dog", f"{n}.jpg", masks, is_new_source=n > 1) for n in range(4)],
    )
