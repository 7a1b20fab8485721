"""A dataset of one's own, in memory: no file is needed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import maskrcnn


def draw(random: np.random.Generator) -> tuple[np.ndarray, list[dict[str, object]]]:
    """An image [96, 96, 3] with a bright disk and a dark square, and what is in it."""
    image = random.integers(90, 160, (96, 96, 3)).astype(np.uint8)
    rows, columns = np.ogrid[:96, :96]
    x, y = random.integers(20, 76, 2)
    disk = (columns - x) ** 2 + (rows - y) ** 2 < 15**2  # a mask is a bool array of the image's size
    image[disk] = 230
    left, top = (int(corner) for corner in random.integers(5, 70, 2))
    image[top : top + 20, left : left + 20] = 30
    square = [left, top, 20, 20]  # without a mask the box stands in for it
    return image, [{"category": "disk", "segmentation": disk}, {"category": "square", "bbox": square}]


def main(output: Path, images: int = 200, changes: Mapping[str, object] = {}) -> maskrcnn.TrainingResult:
    """Train on drawn images; a tenth of them is held out for validation."""
    random = np.random.default_rng(0)
    data = maskrcnn.Dataset.from_samples([draw(random) for _ in range(images)], ["disk", "square"])
    settings = {"backbone.name": "resnet18", "input.min_size": 96, "train.steps": 300, **changes}
    return maskrcnn.train(data, output=output, weights="none", settings=settings)


if __name__ == "__main__":
    print(main(Path("runs/own_data")).report)
