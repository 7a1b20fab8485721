"""`maskrcnn convert`: weights of any library that is read, as a file of this one, or back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
import yaml
from rich.console import Console

from ..config import RunSettings
from ..errors import SettingError, WeightsError

if TYPE_CHECKING:
    from ..model.mask_rcnn import MaskRCNN
    from ..weights.files import Weights

Library = Literal["torchvision", "detectron2"]
OURS = ".safetensors"
MOST_NAMES = 8


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Weights file of any library that is read, or a name.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE ...",
            help="Settings that a file cannot tell, such as `model.backbone.stride_in_1x1=true`.",
        ),
    ] = None,
    to: Annotated[
        Library | None, typer.Option("--to", help="Write a file for another library (.pth; detectron2 also .pkl).")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store 16-bit numbers: half the size.")] = False,
) -> None:
    """Convert weights to this library's .safetensors, or back to torchvision's or detectron2's files.

    Prints what was recognised. Nothing in a file is executed. The way there and back is exact.
    """
    from ..weights.reading import read_weights

    _check_words(target, to, half, overrides or [])
    weights = read_weights(source)
    _check_layers(weights, overrides or [])
    weights.settings = RunSettings(model=weights.settings).changed(overrides).model
    _write(weights, target, to, half)
    for line in summary(weights):
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
    Console().print(f"written: {target} ({target.stat().st_size / 1e6:.0f} MB)", highlight=False, markup=False)


def summary(weights: Weights) -> list[str]:
    """What a file holds: its format, classes, size, and the settings that differ from the defaults."""
    names = weights.classes.names
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    count = sum(tensor.numel() for tensor in weights.state.values())
    lines = [
        f"format: {weights.notes.get('format', 'maskrcnn')}",
        f"classes: {len(names)} ({', '.join(names[:MOST_NAMES])}{more})",
        f"parameters: {count / 1e6:.1f} million in {len(weights.state)} tensors",
    ]
    if weights.extra:
        lines.append(f"kept for the way back: {len(weights.extra)} tensors")
    changed = weights.settings.model_dump(mode="json", exclude_defaults=True)
    if not changed:
        return [*lines, "settings: all as by default"]
    text = yaml.safe_dump({"model": changed}, sort_keys=False, default_flow_style=None, width=100)
    return [*lines, "settings that differ from the defaults:", *text.rstrip().split("\n")]


def _check_words(target: Path, to: Library | None, half: bool, overrides: list[str]) -> None:
    """Say what is wrong with the command before weights are read or fetched."""
    if to is None and target.suffix != OURS:
        raise SettingError(
            f"{target}: weights of this library end in {OURS}. Give such a name, or say with --to which library the "
            "file is for."
        )
    if to is not None and half:
        raise SettingError(f"--half: is for files of this library; {to} gets the numbers as they are. Leave one out.")
    for words in overrides:
        if not words.startswith("model."):
            raise SettingError(f"{words}: only settings of the model are stored with weights, as model.input.mean.")
    RunSettings().changed(overrides)


def _check_layers(weights: Weights, overrides: list[str]) -> None:
    """Raise a WeightsError if settings ask for other layers than those of the tensors; it names them."""
    from ..weights.files import check_weights

    model = _empty_model(weights, overrides)
    try:
        check_weights(model, weights.state, source=weights.source)
    except WeightsError:
        wrong = [words for words in overrides if not _fits(weights, words)] or overrides
        if not wrong:
            raise
        remedy = f"Leave out {' '.join(wrong)}: settings of layers cannot change here."
        check_weights(model, weights.state, source=weights.source, remedy=remedy)


def _fits(weights: Weights, words: str) -> bool:
    """Whether one setting leaves the layers as they are; true too if it goes only with others."""
    from ..weights.files import check_weights

    try:
        check_weights(_empty_model(weights, [words]), weights.state, source=weights.source)
    except SettingError:
        return True
    except WeightsError:
        return False
    return True


def _empty_model(weights: Weights, overrides: list[str]) -> MaskRCNN:
    import torch

    from ..model.build import build_model

    settings = RunSettings(model=weights.settings).changed(overrides).model
    with torch.device("meta"):
        return build_model(settings, len(weights.classes), keypoints=weights.classes.keypoint_count)


def _write(weights: Weights, target: Path, to: Library | None, half: bool) -> None:
    import torch

    from ..weights.files import save_weights
    from ..weights.writing import write_foreign

    if to is not None:
        write_foreign(target, weights, to)
        return
    save_weights(
        target,
        weights.state,
        weights.settings,
        weights.classes,
        notes=weights.notes,
        extra=weights.extra,
        dtype=torch.float16 if half else None,
    )
