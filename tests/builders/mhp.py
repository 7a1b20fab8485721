"""MHP v2 with small images, and its people."""

from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.structures.regions import find_regions

SIZE = (20, 30)


def person(*boxes: tuple[int, int, int, int], parts: tuple[int, ...] = (3, 12)) -> np.ndarray:
    """[20, 30] with a part in each box x1, y1, x2, y2."""
    values = np.zeros(SIZE, dtype=np.uint8)
    for part, (x1, y1, x2, y2) in zip(parts, boxes, strict=False):
        values[y1:y2, x1:x2] = part
    return values


ANNA = person((2, 2, 8, 6), (2, 6, 8, 16))

BERT = person((18, 2, 26, 18), parts=(34,))


def lay_out(
    root: Path,
    images: dict[str, list[np.ndarray]],
    split: str = "val",
    listed: str = "val",
    place: str = "parsing_annos",
) -> Path:
    """LV-MHP-v2 as it is unpacked."""
    for folder in (root / "list", root / split / "images", root / split / place):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "list" / f"{listed}.txt").write_text("".join(f"{name}\n" for name in images))
    for name, people in images.items():
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / split / "images" / f"{name}.jpg")
        for number, values in enumerate(people, start=1):
            file = root / split / place / f"{name}_{len(people):02d}_{number:02d}.png"
            Image.fromarray(np.stack([values] * 3, axis=2)).save(file)
    return root


def found(image_id: int, values: np.ndarray, score: float = 0.9) -> dict:
    """A record of a label map."""
    (mask,) = [region.rle() for region in find_regions(values > 0) if region.value]
    parts = {str(region.value): region.rle() for region in find_regions(values) if region.value}
    return {"image_id": image_id, "category_id": 1, "score": score, "segmentation": mask, "parts": parts}
