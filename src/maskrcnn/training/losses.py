"""The losses since the last look at them, kept on the device so that looking does not slow the training down."""

import math
from pathlib import Path

import torch
from torch import Tensor

from ..errors import TrainingError
from ..ops.files import write_json


class LossWindow:
    """Collects the values of each step and gives their means; the first value that is not finite ends the run.

    Args:
        folder: Where `failed_batch.json` is written when a value is not finite.
        sums, count: Content of a window to go on with, as `content` gave it.
    """

    def __init__(self, folder: Path, sums: dict[str, float] | None = None, count: int = 0) -> None:
        self._folder = folder
        self._sums = dict(sums or {})
        self._count = count
        self._waiting: list[tuple[int, tuple[str, ...], dict[str, Tensor]]] = []

    def add(self, step: int, paths: tuple[str, ...], values: dict[str, Tensor]) -> None:
        """Keep a step's values, scalars on any device, and the images they came from."""
        self._waiting.append((step, paths, values))

    def settle(self) -> None:
        """Wait for the values added so far and check them.

        Raises:
            TrainingError: A value is not finite; its step, images and losses are in `failed_batch.json`.
        """
        for step, paths, values in self._waiting:
            numbers = dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
            if not all(math.isfinite(number) for number in numbers.values()):
                raise self._failure(step, paths, numbers)
            for name, number in numbers.items():
                self._sums[name] = self._sums.get(name, 0.0) + number
            self._count += 1
        self._waiting.clear()

    def content(self) -> tuple[dict[str, float], int]:
        """Sums of the settled values and how many steps they are of."""
        return dict(self._sums), self._count

    def take_means(self) -> dict[str, float]:
        """Means over the settled steps; the window is empty afterwards."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def _failure(self, step: int, paths: tuple[str, ...], numbers: dict[str, float]) -> TrainingError:
        report = self._folder / "failed_batch.json"
        # JSON has no NaN, so numbers are written as text.
        content = {"step": step, "paths": list(paths), "losses": {name: str(value) for name, value in numbers.items()}}
        write_json(report, content, indent=2)
        bad = ", ".join(f"{name} = {value}" for name, value in numbers.items() if not math.isfinite(value))
        return TrainingError(
            f"{report}: in step {step} {bad}, but losses must be finite. Its images: {', '.join(paths)}. Look at "
            "their annotations, or lower train.learning_rate (or lengthen train.warmup_steps) and start again; "
            "the checkpoint from before that step is kept."
        )
