"""A model of three numbers with the interface the loop asks for: it learns the mean of a batch."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn

from maskrcnn.config import RunSettings
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.classes import Classes
from maskrcnn.training.loop import TrainingResult, train_loop

CLASSES = Classes(names=("cell",), category_ids=(1,))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(3))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        distances = (self.value - batch.images.mean((0, 2, 3))) ** 2
        return {"first": distances[0], "others": distances[1:].sum()}


def batch(number: int, value: float = 1.0) -> Batch:
    return Batch(
        torch.full((2, 3, 4, 4), value), [(4, 4)] * 2, [(4, 4)] * 2, paths=(f"{number}-a.png", f"{number}-b.png")
    )


def batches(start: int) -> Iterator[Batch]:
    return (batch(number) for number in count(start))


def settings(**train: object) -> RunSettings:
    return RunSettings.model_validate({"train": {"steps": 10, "log_every": 2, "learning_rate": 0.8, **train}})


def run(folder: Path, *, model: nn.Module | None = None, resume: bool = False, **options: object) -> TrainingResult:
    """Train; `batches`, `evaluate` and `quiet` go to the loop, everything else is a setting."""
    given = {name: options.pop(name) for name in ("evaluate", "quiet") if name in options}
    stream = options.pop("batches", batches)
    return train_loop(
        model or Small(),
        stream,
        settings(**options),
        classes=CLASSES,
        folder=folder,
        resume=resume,
        **({"quiet": True} | given),
    )
