"""Names of tensors: tables that say what those of another library are called here, read in both directions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, TypeVar

from ...errors import WeightsError

T = TypeVar("T")
Table = Sequence[tuple[str, str]]
"""Pairs of their layer and ours, such as ("res{stage+2}.{block}.conv1.", "backbone.stages.{stage}.{block}.step1.").

`{stage}` stands for a number, `{stage+2}` for one that is 2 more, `{i*3+1}` for three times it and 1 more. Behind a
layer comes a leaf, such as `weight`; for `*` at the end of both whatever there is. The first pair that fits counts.
"""

_FIELD = re.compile(r"\{(\w+)(?:\*(\d+))?(?:\+(\d+))?\}")


class _Side(NamedTuple):
    """One side of a pair, compiled: what it matches, and for each number its name, factor and offset."""

    pattern: re.Pattern[str]
    fields: list[tuple[str, int, int]]
    template: str


def normed(theirs: str, ours: str, *, convolution: str = "", norms: str = "norm.") -> Table:
    """Pairs for a convolution and its norm; `translate` leaves the middle of our name out if there is no norm."""
    return [(f"{theirs}{convolution}", f"{ours}convolution."), (f"{theirs}{norms}", f"{ours}norm.")]


def rename(name: str, table: Table) -> str | None:
    """Our name of another library's tensor; None if no pair of the table fits."""
    return next((ours for pair in table if (ours := _rename(name, *map(_compile, pair))) is not None), None)


def rename_back(name: str, table: Table) -> str | None:
    """Another library's name of our tensor; of a convolution without norm too, which tables name as if it had one."""
    layer, _, leaf = name.rpartition(".")
    for full in (name, f"{layer}.convolution.{leaf}"):
        for theirs, ours in table:
            if (renamed := _rename(full, _compile(ours), _compile(theirs))) is not None:
                return renamed
    return None


def rename_known(tensors: Mapping[str, T], table: Table) -> dict[str, T]:
    """The same values, renamed where a pair of the table fits."""
    return {rename(name, table) or name: value for name, value in tensors.items()}


def translate(names: Iterable[str], table: Table) -> tuple[dict[str, str], list[str]]:
    """Rename tensors of another library.

    Returns:
        {our name: their name}, and their names that have no place here.
    """
    origins: dict[str, str] = {}
    left = []
    for name in names:
        ours = rename(name, table)
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


@cache
def _compile(template: str) -> _Side:
    fields = [(name, int(factor or 1), int(offset or 0)) for name, factor, offset in _FIELD.findall(template)]
    layer = template.removesuffix("*")
    text = r"(\d+)".join(map(re.escape, _FIELD.sub("\0", layer).split("\0")))
    rest = "(.+)" if template.endswith("*") else r"(\w+)"
    return _Side(re.compile(text + rest), fields, layer)


def _rename(name: str, source: _Side, target: _Side) -> str | None:
    match = source.pattern.fullmatch(name)
    if match is None:
        return None
    *numbers, rest = match.groups()
    values = {}
    for (key, factor, offset), number in zip(source.fields, map(int, numbers), strict=True):
        if number < offset or (number - offset) % factor:
            return None
        values[key] = (number - offset) // factor
    return _FIELD.sub(lambda m: str(values[m[1]] * int(m[2] or 1) + int(m[3] or 0)), target.template) + rest


def _settled(name: str, names: Mapping[str, T]) -> str:
    layer, middle, leaf = name.rpartition(".convolution.")
    if not middle or layer.startswith(("backbone.", "shared_head.")) or f"{layer}.norm.weight" in names:
        return name
    return f"{layer}.{leaf}"
