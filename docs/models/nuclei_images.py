"""Draws cell-like images and what the shipped nuclei model finds in them: `docs/images/nuclei.png` of the model card.

python docs/models/nuclei_images.py
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from maskrcnn.draw.images import write_image
from maskrcnn.draw.instances import draw_instances
from maskrcnn.predict.predictor import Predictor

SIDE = 256
SHEET = Path(__file__).parents[1] / "images" / "nuclei.png"


def draw_nuclei(
    random: np.random.Generator, count: int, radius: tuple[float, float], light: tuple[float, float]
) -> np.ndarray:
    """[SIDE, SIDE] brightness in 0..1 of blurred ellipses on black; later ones lie over earlier ones."""
    canvas = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(count):
        long = random.uniform(*radius)
        axes = (round(long), round(long * random.uniform(0.6, 1)))
        center = tuple(int(value) for value in random.integers(0, SIDE, 2))
        shape = np.zeros_like(canvas)
        cv2.ellipse(shape, center, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
        shape = cv2.GaussianBlur(shape, (0, 0), 1.2)
        texture = 1 + 0.25 * cv2.GaussianBlur(random.normal(size=shape.shape).astype(np.float32), (0, 0), 3) * 6
        canvas = canvas * (1 - shape) + shape * random.uniform(*light) * texture
    return canvas


def fluorescence(
    seed: int, count: int, radius: tuple[float, float], light: tuple[float, float], noise: float
) -> Tensor:
    """[3, SIDE, SIDE] uint8 of bright nuclei on a dark ground."""
    random = np.random.default_rng(seed)
    canvas = 0.04 + draw_nuclei(random, count, radius, light) + random.normal(scale=noise, size=(SIDE, SIDE))
    return _to_image(np.repeat(canvas[None], 3, axis=0))


def stained(seed: int) -> Tensor:
    """[3, SIDE, SIDE] uint8 of violet nuclei on pink tissue."""
    random = np.random.default_rng(seed)
    nuclei = draw_nuclei(random, 35, (8, 15), (0.6, 1.0))
    tissue = 0.8 + 0.06 * cv2.GaussianBlur(random.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), 5) * 10
    pink, violet = np.array([0.95, 0.75, 0.88]), np.array([0.40, 0.25, 0.62])
    share = np.clip(nuclei, 0, 1)[None]
    return _to_image(tissue * (pink[:, None, None] * (1 - share) + violet[:, None, None] * share))


def _to_image(values: np.ndarray) -> Tensor:
    return torch.from_numpy((values.clip(0, 1) * 255).round().astype(np.uint8))


SCENES = [
    fluorescence(1, 22, (8, 15), (0.5, 0.9), 0.02),  # what the model learned
    fluorescence(2, 110, (8, 14), (0.4, 0.9), 0.03),  # crowded: nuclei lie over one another
    fluorescence(3, 30, (8, 14), (0.05, 0.12), 0.04),  # faint: hardly above the noise
    fluorescence(4, 60, (2, 4), (0.4, 0.9), 0.02),  # a few pixels each
    stained(5),
]


def main() -> None:
    """Draw the sheet."""
    predictor = Predictor("nuclei")
    threshold = float(predictor.notes["score_threshold"])
    rows = [
        torch.cat([image, draw_instances(image, found, predictor.classes, score_threshold=threshold)], dim=1)
        for image, found in zip(SCENES, predictor.predict_all(SCENES), strict=True)
    ]
    write_image(SHEET, torch.cat(rows, dim=2))


if __name__ == "__main__":
    main()
