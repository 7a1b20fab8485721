"""What a run writes down: one JSON object per line, and the same curves for TensorBoard.

The first line holds the settings; then come lines with `kind` "step" and "evaluation".
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ..config import RunSettings
from ..structures.classes import Classes
from .run_folder import LOG_NAME


class TrainingLog:
    """Appends to `log.jsonl` and `tensorboard/` in the run's folder.

    Args:
        folder: The run's folder.
        settings, classes: Written into the first line of a new log.
        position, step: Of a resumed run: the log's length in bytes when the checkpoint was written, and its step.
            What came later is cut off, so that the log is as if the run had never been killed. Zero: a new log.
    """

    def __init__(self, folder: Path, settings: RunSettings, classes: Classes, *, position: int, step: int) -> None:
        path = folder / LOG_NAME
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
        self._tensorboard.close()

    def _write(self, entry: dict) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()

    def _draw(self, curves: dict[str, float], step: int) -> None:
        for name, value in curves.items():
            self._tensorboard.add_scalar(name, value, step)


def _numbers(part: object) -> list[tuple[str, float]]:
    if not isinstance(part, dict):
        return []
    return [(name, value) for name, value in part.items() if isinstance(value, (int, float))]
