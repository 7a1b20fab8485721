"""What earlier versions of our own weights files call tensors and settings; `weights/files.py` reads them by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .renames import Rename

TENSORS: list[Rename] = [
    (r"body\.", "backbone."),
    (r"fpn\.", "neck."),
    (r"rpn\.convolution\.", "rpn.convolutions.0."),
    (r"box_head\.hidden(\d)\.", lambda m: f"box_head.0.hidden.{int(m[1]) - 1}."),
    (r"box_head\.", "box_head.0."),
    (r"box_heads\.", "box_head."),
    (r"mask_head\.upsample\.", "mask_head.upsamples.0."),
    (r"mask_heads\.0\.", "mask_head."),
]
"""Starts of names of tensors in versions 1 and 2, and what stands there today."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "neck": ("neck.name",),
    "fpn.channels": ("neck.channels",),
    "fpn.norm": ("neck.norm",),
    "fpn": (),
    "clamp_both_sides": ("rpn.clamp_both_sides", "box_head.clamp_both_sides"),
    "loss_epsilon": ("rpn.loss_epsilon", "box_head.loss_epsilon"),
}
"""Where settings of the model stood in versions 1 and 2, and all places where their values belong today."""


def todays_settings(earlier: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model as a file of version 1 or 2 has them, in the form that `ModelSettings` validates today."""
    tree: dict[str, Any] = {}
    for path, value in _leaves(earlier):
        for place in SETTINGS.get(path, (path,)):
            *sections, key = place.split(".")
            section = tree
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = value
    return tree


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every `section.name` with its value; of sections without settings their own name."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value
