"""What a run reports: its losses, checked and averaged, in a log, in TensorBoard and on the screen."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from ..config import RunSettings
from ..errors import TrainingError
from ..ops.files import write_json
from ..structures.classes import Classes
from .run_folder import LOG_NAME


class LossWindow:
    """Collects the values of each step and gives their means; the first value that is not finite ends the run.

    They stay on the device until `settle`, so that looking at them does not slow the training down.

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


class TrainingLog:
    """Appends to `log.jsonl`, one JSON object per line, and the same curves to `tensorboard/` in the run's folder.

    The first line holds the settings; then come lines with `kind` "step" and "evaluation".

    Args:
        folder: The run's folder.
        settings, classes: Written into the first line of a new log.
        position, step: Of a resumed run: the log's length in bytes when the checkpoint was written, and its step.
            What came later is cut off, so that the log is as if the run had never been killed. Zero: a new log.
    """

    def __init__(self, folder: Path, settings: RunSettings, classes: Classes, *, position: int, step: int) -> None:
        self._folder, path = folder, folder / LOG_NAME
        # A log that the user has deleted meanwhile starts anew.
        position = min(position, path.stat().st_size) if path.exists() else 0
        self._file = path.open("ab")
        self._file.truncate(position)
        self._file.seek(position)
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        if position == 0:
            self._write({"kind": "settings", "settings": settings.model_dump(mode="json"), "classes": classes.names})

    def step(self, entry: dict) -> None:
        """Write a line about training: step, loss, losses, learning_rate, images_per_second, seconds."""
        self._write({"kind": "step", **entry})
        curves = {f"losses/{name}": value for name, value in entry["losses"].items()}
        curves |= {name: entry[name] for name in ("loss", "learning_rate", "images_per_second")}
        self._draw(curves, entry["step"])

    def evaluation(self, step: int, scores: dict, seconds: float) -> None:
        """Write a line about an evaluation; of nested scores, numbers one level down are drawn as curves."""
        self._write({"kind": "evaluation", "step": step, "scores": scores, "seconds": seconds})
        curves = {f"{group}/{name}": value for group, part in scores.items() for name, value in _numbers(part)}
        self._draw(curves, step)

    def position(self) -> int:
        """Length of the log in bytes, all of them on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        if self._folder.exists():  # else its error would hide the one that ended the run
            self._tensorboard.close()

    def _write(self, entry: dict) -> None:
        if not self._folder.exists():  # the open file takes lines without an error, TensorBoard's thread does not
            raise TrainingError(f"{self._folder}: the folder of the run is gone. Start the run again.")
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()

    def _draw(self, curves: dict[str, float], step: int) -> None:
        for name, value in curves.items():
            self._tensorboard.add_scalar(name, value, step)


def _numbers(part: object) -> list[tuple[str, float]]:
    if not isinstance(part, dict):
        return []
    return [(name, value) for name, value in part.items() if isinstance(value, (int, float))]


class TrainingDisplay:
    """Shows losses, speed, learning rate and time left while entered.

    Args:
        steps: All steps of the run.
        step: Steps already made.
        quiet: Show nothing.
        console: Where to write; None: standard error.
    """

    def __init__(self, steps: int, *, step: int = 0, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("training", total=steps, completed=step, values="")
        self._steps = steps

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._bar.disable:  # rich before 14.3 ends one that it never drew with a blank line
            self._bar.stop()

    def advance(self, step: int) -> None:
        """So many steps are made."""
        self._bar.update(self._task, completed=step)

    def show(self, entry: dict) -> None:
        """Show the values of a log line about training."""
        losses = " ".join(f"{name} {value:.3f}" for name, value in entry["losses"].items())
        speed = f"{entry['images_per_second']:.2f} images/s"
        if self._bar.disable:
            left = (self._steps - entry["step"]) * entry["seconds"] / entry["step"] / 60
            self.say(
                f"step {entry['step']}/{self._steps}: loss {entry['loss']:.3f} ({losses}), "
                f"learning rate {entry['learning_rate']:.2g}, {speed}, {left:.1f} min left"
            )
        else:
            values = f"loss {entry['loss']:.3f} rate {entry['learning_rate']:.2g} {speed}"
            self._bar.update(self._task, values=values)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
