"""Tables that say what the tensors of one naming are called in another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

Rename = tuple[str, str | Callable[[re.Match[str]], str]]
"""A regular expression for the start of a name, and what stands there instead."""

VERSION_1: list[Rename] = [
    (r"fpn\.", "neck."),
    (r"rpn\.convolution\.", "rpn.convolutions.0."),
    (r"box_head\.hidden(\d)\.", lambda m: f"box_heads.0.hidden.{int(m[1]) - 1}."),
    (r"box_head\.", "box_heads.0."),
    (r"mask_head\.upsample\.", "mask_heads.0.upsamples.0."),
    (r"mask_head\.", "mask_heads.0."),
]
"""From version 1 of our own weights files to version 2."""


def rename(name: str, table: Iterable[Rename]) -> str | None:
    """The name with its start replaced by the first rule of the table that fits; None if none does."""
    for pattern, replacement in table:
        renamed, count = re.subn(rf"^{pattern}", replacement, name, count=1)
        if count:
            return renamed
    return None


def rename_known(tensors: Mapping[str, T], table: Iterable[Rename]) -> dict[str, T]:
    """The same values, renamed where a rule of the table fits."""
    rules = list(table)
    return {rename(name, rules) or name: value for name, value in tensors.items()}
