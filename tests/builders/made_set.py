"""Small datasets on disk: good ones, in which each test breaks one thing."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.config import InputSettings
from maskrcnn.doctor.input_advice import see
from maskrcnn.doctor.objects import ObjectTable, measure_objects
from maskrcnn.doctor.splits import Split, read_split

SIZE = (64, 96)  # height, width


class MadeSet:
    """A COCO dataset with an object of 24 x 20 px in each image; `split()` writes and reads it."""

    def __init__(self, folder: Path, images: int = 4, *, split: str = "train", classes=("cat", "dog"), seed: int = 0):
        self.folder, self.name = Path(folder), split
        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        self.images, self.annotations = [], []
        self.categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
        for number in range(images):
            self.add_image(noise(1000 * seed + number))
            self.add_object(number + 1, [20, 16, 24, 20], label=1 + number % len(classes))

    def add_image(self, image: np.ndarray, name: str | None = None, **save) -> Path:
        number = len(self.images) + 1
        path = self.folder / "images" / (name or f"{self.name}_{number}.png")
        Image.fromarray(image).save(path, **save)
        height, width = image.shape[:2]
        self.images.append({"id": number, "file_name": path.name, "width": width, "height": height})
        return path

    def add_object(self, image: int, box: list[float], *, label: int = 1, polygon=None, **fields) -> None:
        x, y, width, height = box
        # A hexagon around which the box lies closely.
        points = [(0, 0.5), (0.25, 0), (0.75, 0), (1, 0.5), (0.75, 1), (0.25, 1)]
        contour = [[part for across, down in points for part in (x + across * width, y + down * height)]]
        one = {"id": len(self.annotations) + 1, "image_id": image, "category_id": label, "bbox": box, "iscrowd": 0}
        self.annotations.append({**one, "segmentation": contour if polygon is None else polygon, **fields})

    def write(self) -> Path:
        path = self.folder / f"{self.name}.json"
        contents = {"images": self.images, "annotations": self.annotations, "categories": self.categories}
        path.write_text(json.dumps(contents))
        return path

    def split(self) -> Split:
        return read_split(self.write(), self.name)[0]

    def table(self) -> ObjectTable:
        return measure_objects(self.split())


def noise(seed: int, size: tuple[int, int] = SIZE, *, brightest: int = 255) -> np.ndarray:
    """[H, W, 3] uint8 colored blotches, no two alike."""
    cells = np.random.default_rng(seed).integers(0, brightest, (8, 8, 3), endpoint=True).astype(np.uint8)
    return np.asarray(Image.fromarray(cells).resize(size[::-1], Image.Resampling.BICUBIC))


def named(findings, name: str):
    """The one finding of a name."""
    found = [finding for finding in findings if finding.name == name]
    assert len(found) == 1, [finding.name for finding in findings]
    return found[0]


def names(findings) -> list[str]:
    return [finding.name for finding in findings]


def made_seen(folder, boxes, settings=None, *, sizes=None):
    """Boxes [x, y, w, h], one per image; images of `sizes` (height, width), which need no file contents."""
    made = MadeSet(folder, 1)
    made.annotations = []
    made.images = [{"id": n + 1, "file_name": "train_1.png", "height": h, "width": w} for n, (h, w) in enumerate(sizes)]
    for number, box in enumerate(boxes):
        made.add_object(number + 1, box)
    return see(made.table(), settings or InputSettings())
