"""What is timed: pieces of work that every contender does in full. The command line lists them without torch."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import SettingError

if TYPE_CHECKING:
    from torch import Tensor

    from ..structures.instances import Instances

Task = Literal["pixels", "RLE", "keypoints", "training"]


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Args:
        title: For people.
        model: A name of `peers.BUILDERS`.
        size: (height, width) of the images, which is also that of the network's input.
        images: How many go through the network together.
        task: pixels, RLE: predicted masks become [N, height, width] truth values, or COCO RLE.
            keypoints: there are keypoints and no masks. training: a step, forward, backward and SGD.
        most: Detections per image at most; None: as the models have it, which is 100.
    """

    title: str
    model: str
    size: tuple[int, int]
    images: int
    task: Task
    most: int | None = None


LARGE, SMALL = (800, 1216), (256, 256)
WORKS: dict[str, Work] = {
    "prediction": Work("prediction, 1 image, masks as pixels", "R50-FPN", LARGE, 1, "pixels"),
    "prediction-rle": Work("prediction, 1 image, masks as RLE", "R50-FPN", LARGE, 1, "RLE"),
    "prediction-batch4": Work("prediction, 4 images", "R50-FPN", LARGE, 4, "pixels"),
    "prediction-small": Work("prediction, 1 small image", "R50-FPN", SMALL, 1, "pixels"),
    "prediction-r101": Work("prediction, ResNet-101", "R101-FPN", LARGE, 1, "pixels"),
    "prediction-v2": Work("prediction, v2 heads", "R50-FPN-v2", LARGE, 1, "pixels"),
    "prediction-keypoints": Work("prediction, keypoints of people", "Keypoint-R50-FPN", LARGE, 1, "keypoints"),
    "training": Work("training step, 2 images", "R50-FPN", LARGE, 2, "training"),
    "training-small": Work("training step, 1 small image", "R50-FPN", SMALL, 1, "training"),
}
QUICK = ("prediction", "training-small")
USUAL = ("prediction", "prediction-rle", "prediction-small", "training")


def find_work(name: str) -> Work:
    """The work of a name.

    Raises:
        SettingError: There is none of that name.
    """
    if name not in WORKS:
        near = difflib.get_close_matches(name, WORKS, n=2, cutoff=0.4)
        guess = f" Did you mean {' or '.join(near)}?" if near else ""
        raise SettingError(f"{name}: there is no work of that name.{guess} There are {', '.join(WORKS)}.")
    return WORKS[name]


def choose_works(names: Sequence[str], *, quick: bool, everything: bool) -> dict[str, Work]:
    """The works that words of the command line mean.

    Args:
        names: Single works, instead of a selection.
        quick: The shortest selection that has prediction and training.
        everything: All works.

    Raises:
        SettingError: More than one of the three was given, or a work is unknown.
    """
    options = {"names (--work)": bool(names), "quick (--quick)": quick, "everything (--all)": everything}
    given = [word for word, chosen in options.items() if chosen]
    if len(given) > 1:
        raise SettingError(f"{' and '.join(given)} were given, and each of them says what is timed. Give one of them.")
    chosen = names or (QUICK if quick else WORKS if everything else USUAL)
    return {name: find_work(name) for name in chosen}


OBJECTS = 8
"""In each image of a training step."""


def make_image(size: tuple[int, int]) -> Tensor:
    """[3, *size] uint8 of generated shapes; the same for the same size."""
    import numpy as np
    import torch

    from ..data.shapes import draw_scene

    scene = draw_scene(np.random.default_rng(0), max(size))
    return torch.from_numpy(scene.image[: size[0], : size[1]].copy()).permute(2, 0, 1).contiguous()


def make_objects(size: tuple[int, int], classes: int) -> Instances:
    """Eight discs whose sides are up to three eighths of the image's shorter one; the same for the same size."""
    import numpy as np
    import torch

    from ..structures.instances import Instances
    from ..structures.masks import Crop, MaskCrops

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
    import torch

    masks = torch.zeros(len(objects), *objects.size, dtype=torch.bool)
    assert objects.masks is not None, "there are masks in every work that wants them"
    for i in range(len(objects)):
        x, y, bitmap = objects.masks.crop(i)
        masks[i, y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = torch.from_numpy(bitmap)
    return masks
