"""What every benchmark gives: numbers by name, of the whole and of each class, and the rule they follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Numbers = Mapping[str, float | None]
Say = Callable[[str], None]
"""Called with a few words on what is being done now, such as "masks" or "image 30 of 500"."""


def say_nothing(_: str) -> None:
    """A `Say` for those who do not listen."""


@dataclass(frozen=True)
class Section:
    """The numbers of one rule.

    Args:
        name: Its key in the JSON file, such as "bbox" or "panoptic".
        title: For people, such as "boxes".
        protocol: The rule in a sentence: thresholds, limits, whose evaluator it equals.
        numbers: By name, the one papers quote first: fractions of 1; None (of COCO: -1) where there is nothing to find.
        per_class: Numbers by class name; the rows of a table, all with the same names.
        lengths: Names of the numbers that are pixels instead of fractions.
        row: What a row of `per_class` is, if it is no class.
    """

    name: str
    title: str
    protocol: str
    numbers: Numbers
    per_class: Mapping[str, Numbers] = field(default_factory=dict)
    lengths: frozenset[str] = frozenset()
    row: str = "class"
