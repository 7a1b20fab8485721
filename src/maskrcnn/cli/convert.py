"""`maskrcnn convert`: weights of any library that is read, as a file of this one, or back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
import yaml

from ..config import ModelSettings
from ..errors import SettingError
from ..progress import counted
from .console import show

if TYPE_CHECKING:
    from ..structures.classes import Classes
    from ..weights.own import Weights

Library = Literal["torchvision", "detectron2"]
MOST_NAMES = 8


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Weights file of any supported library, or a name.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE ...", help="Settings that are not in the file, such as `backbone.stride_in_1x1=true`."
        ),
    ] = None,
    to: Annotated[
        Library | None, typer.Option("--to", help="Write a file for another library (.pth; detectron2 also .pkl).")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="A,B,...",
            help="Names of the classes, where the file has none: in the order of the labels, or a COCO file with them.",
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store 16-bit numbers, half the size.")] = False,
) -> None:
    """Convert weights to this library's .safetensors, or back to torchvision's or detectron2's files.

    Prints what was recognized. Nothing in a file is executed. The way there and back is exact.
    """
    import torch

    from ..weights.convert import check_target, convert_weights
    from ..weights.reading import read_weights

    # What is wrong with the command is said before weights are read or fetched.
    check_target(target, to)
    if to is not None and half:
        raise SettingError(f"--half: is for files of this library; {to} gets the numbers as they are. Leave one out.")
    ModelSettings().changed(overrides)
    read = read_weights(source)
    settings = read.settings.changed(overrides)
    named = None if classes is None else _read_classes(classes)
    dtype = torch.float16 if half else None
    weights = convert_weights(read, target, to=to, settings=settings, classes=named, dtype=dtype)
    show(*summary(weights), f"written: {target} ({target.stat().st_size / 1e6:.0f} MB)")


def _read_classes(words: str) -> Classes | list[str]:
    """Names with commas between them, or those of a COCO file."""
    from ..data.readers.coco import read_classes

    if Path(words).is_file():
        return read_classes(Path(words))
    return [name.strip() for name in words.split(",") if name.strip()]


def summary(weights: Weights) -> list[str]:
    """What a file holds: its format, classes, size, and the settings that differ from the defaults."""
    names = weights.classes.names
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    count = sum(tensor.numel() for tensor in weights.state.values())
    lines = [
        f"format: {weights.notes.get('format', 'maskrcnn')}",
        f"classes: {len(names)} ({', '.join(names[:MOST_NAMES])}{more})",
        f"parameters: {count / 1e6:.1f} million in {counted(len(weights.state), 'tensor')}",
    ]
    if weights.extra:
        lines.append(f"kept for the way back: {counted(len(weights.extra), 'tensor')}")
    changed = weights.settings.model_dump(mode="json", exclude_defaults=True)
    if not changed:
        return [*lines, "settings: all as by default"]
    text = yaml.safe_dump(changed, sort_keys=False, default_flow_style=None, width=100)
    return [*lines, "settings that differ from the defaults:", *text.rstrip().split("\n")]
