"""Commands to copy, which a verb prints when it is done."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..data.confinement import allows_outside
from .console import say


def data_words(data: Path, images: Path | None, form: str | None = None, *, skip_invalid: bool = False) -> list[str]:
    """The words of a command that name a dataset."""
    more = {"--images": images, "--format": form}
    words = [word for name, value in more.items() if value for word in (name, str(value))]
    flags = {"--skip-invalid": skip_invalid, "--allow-outside": allows_outside()}
    return ["--data", str(data), *words, *(name for name, is_set in flags.items() if is_set)]


def evaluate_command(weights: Path, data: list[str], proposals: Path | None = None) -> str:
    """The command that scores weights on a dataset (`data_words`), on proposals of a file if there is one."""
    more = [] if proposals is None else ["--proposals", str(proposals)]
    return shlex.join(["maskrcnn", "evaluate", *data, "--weights", str(weights), *more])


def propose_command(weights: Path, data: list[str]) -> str:
    """The command that writes the proposals of weights, and scores them on a dataset (`data_words`)."""
    return shlex.join(["maskrcnn", "propose", *data, "--weights", str(weights)])


def predict_command(weights: Path, images: Path, output: Path) -> str:
    """The command that finds objects in images."""
    return shlex.join(["maskrcnn", "predict", str(images), "--weights", str(weights), "--output", str(output)])


def print_commands(commands: dict[str, str]) -> None:
    """Print commands, each below what it is for."""
    for words, command in commands.items():
        say(f"{words}:\n  {command}")
