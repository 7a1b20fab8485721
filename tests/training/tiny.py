"""A small real model and small generated images, for tests of the loop.

As a script it is a training run in a process of its own, which a test can kill:
`python -m tests.training.tiny FOLDER {"optimizer": "sgd"}`.
"""

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch

from maskrcnn.config import ModelSettings, RunSettings
from maskrcnn.model.build import build_model
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.training.loop import TrainingResult, train_loop

CLASSES = Classes(names=("square", "bar"), category_ids=(3, 7))
SIDE = 64


def model_settings() -> ModelSettings:
    return ModelSettings.model_validate(
        {
            "backbone": {"name": "resnet18", "norm": "group", "frozen_stages": 0},
            "neck": {"channels": 32},
            "anchors": {"sizes": (8, 16, 32, 48, 64)},
            "rpn": {"batch_size_per_image": 32, "pre_nms_top_n_training": 50, "post_nms_top_n_training": 50},
            "box_head": {"batch_size_per_image": 16, "channels": 32},
            "mask_head": {"channels": 16, "convolutions": 1},
        }
    )


def run_settings(**train: object) -> RunSettings:
    settings = {"steps": 6, "log_every": 1, "checkpoint_every": 2, "learning_rate": 0.01} | train
    return RunSettings.model_validate({**model_settings().model_dump(), "train": settings})


def shapes_settings(*, data: dict[str, object] | None = None, **train: object) -> RunSettings:
    """For a run on the drawn images of a folder, in this process."""
    tree = {
        **model_settings().model_dump(),
        "input": {"min_size": SIDE},
        "train": {"precision": "float32", **train},
        "data": {"workers": 0, **(data or {})},
    }
    return RunSettings.model_validate(tree)


def changed_parts(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The parts of a model, such as `backbone`, that differ between two states."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def real_run(folder: Path, **settings: object) -> TrainingResult:
    """Train the small Mask R-CNN, or go on with it; its score is made of its weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model(model_settings(), len(CLASSES))

    def evaluate(model: torch.nn.Module) -> dict:
        torch.rand(7)
        return {"segm": {"AP": model.box_head[0].logits.bias.sum().item()}}

    return train_loop(
        model,
        batches,
        run_settings(**settings),
        classes=CLASSES,
        folder=folder,
        evaluate=evaluate,
        resume=True,
        quiet=True,
    )


def batches(start: int) -> Iterator[Batch]:
    """The stream from a batch on. It also draws random numbers, as a loader may."""
    for number in count(start):
        torch.rand(3)
        yield batch(number)


def batch(number: int) -> Batch:
    """A function of the number: two images with a bright square and a bar; every third image has nothing."""
    random = np.random.default_rng(number)
    images = [_image(random, empty=(2 * number + i) % 3 == 0) for i in range(2)]
    return Batch(
        images=torch.stack([image for image, _ in images]).contiguous(memory_format=torch.channels_last),
        sizes=[(SIDE, SIDE)] * 2,
        image_sizes=[(SIDE, SIDE)] * 2,
        targets=[target for _, target in images],
        paths=(f"batch{number}-a.png", f"batch{number}-b.png"),
        image_ids=(2 * number, 2 * number + 1),
    )


def _image(random: np.random.Generator, *, empty: bool) -> tuple[torch.Tensor, Instances]:
    image = random.normal(0, 0.1, (3, SIDE, SIDE)).astype(np.float32)
    crops, boxes = [], []
    for height, width in [] if empty else [(20, 20), (8, 30)]:
        y, x = (int(random.integers(0, SIDE - side)) for side in (height, width))
        image[:, y : y + height, x : x + width] += 2
        crops.append(Crop(x, y, np.ones((height, width), bool)))
        boxes.append([x, y, x + width, y + height])
    target = Instances(
        size=(SIDE, SIDE),
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.arange(len(boxes)),
        masks=MaskCrops.of(crops, (SIDE, SIDE)),
    )
    return torch.from_numpy(image), target


if __name__ == "__main__":
    real_run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
