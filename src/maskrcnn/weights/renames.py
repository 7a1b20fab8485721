"""Tables that say what the tensors of one naming are called in another."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from ..errors import WeightsError

T = TypeVar("T")
Rename = tuple[str, str | Callable[[re.Match[str]], str]]
"""A regular expression for the start of a name, and what stands there instead."""


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


def translate(names: Iterable[str], table: Iterable[Rename]) -> tuple[dict[str, str], list[str]]:
    """Rename tensors of another library.

    Tables rename every convolution as if a norm followed it, and those without one then lose `.convolution`.

    Returns:
        {our name: their name}, and their names that have no place here.
    """
    rules = list(table)
    origins: dict[str, str] = {}
    left = []
    for name in names:
        ours = rename(name, rules)
        if ours is None or ours in origins:
            left.append(name)
        else:
            origins[ours] = name
    return {_settled(ours, origins): name for ours, name in origins.items()}, left


def check_all_placed(left: Collection[str], source: str, readable: str) -> None:
    """Raise a WeightsError that names the tensors which have no place here, if there are any."""
    if left:
        raise WeightsError(
            f"{source}: {len(left)} tensors have no place here: {', '.join(left)}. Readable are {readable}."
        )


def _settled(name: str, names: Mapping[str, T]) -> str:
    layer, middle, leaf = name.rpartition(".convolution.")
    if not middle or layer.startswith(("backbone.", "shared_head.")) or f"{layer}.norm.weight" in names:
        return name
    return f"{layer}.{leaf}"
