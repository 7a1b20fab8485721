"""The image and the objects that all contenders get."""

import numpy as np
import torch
from torch import Tensor

from ..data.shapes import draw_scene
from ..structures.instances import Instances
from ..structures.masks import Crop, MaskCrops

OBJECTS = 8
"""In each image of a training step."""


def make_image(size: tuple[int, int]) -> Tensor:
    """[3, *size] uint8 of generated shapes; the same for the same size."""
    scene = draw_scene(np.random.default_rng(0), max(size))
    return torch.from_numpy(scene.image[: size[0], : size[1]].copy()).permute(2, 0, 1).contiguous()


def make_objects(size: tuple[int, int], classes: int) -> Instances:
    """Eight discs whose sides are up to three eighths of the image's shorter one; the same for the same size."""
    random, boxes, crops = np.random.default_rng(1), [], []
    shorter = min(size)
    for _ in range(OBJECTS):
        side = int(random.integers(shorter // 12 + 2, 3 * shorter // 8 + 3))
        x, y = int(random.integers(size[1] - side)), int(random.integers(size[0] - side))
        rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
        boxes.append([x, y, x + side, y + side])
        crops.append(Crop(x, y, rows**2 + columns**2 < side**2 / 4))
    labels = torch.from_numpy(random.integers(classes, size=OBJECTS))
    return Instances(size=size, boxes=torch.tensor(boxes).float(), labels=labels, masks=MaskCrops.of(crops, size))


def whole_masks(objects: Instances) -> Tensor:
    """[N, H, W] bool masks at the image's size."""
    masks = torch.zeros(len(objects), *objects.size, dtype=torch.bool)
    assert objects.masks is not None, "there are masks in every work that wants them"
    for i in range(len(objects)):
        x, y, bitmap = objects.masks.crop(i)
        masks[i, y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = torch.from_numpy(bitmap)
    return masks
