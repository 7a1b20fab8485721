"""A run on the screen: a progress bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


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
