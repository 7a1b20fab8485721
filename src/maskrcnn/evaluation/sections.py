"""What every benchmark gives: numbers by name, of the whole and of each class, and the rule they follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

Numbers = Mapping[str, float | None]
Say = Callable[[str], None]
"""Called with a few words on what is being done now, such as "masks" or "image 30 of 500"."""
MOST_CLASSES = 100
"""A dataset with more classes gets no rows for them on the terminal; the JSON file has them."""


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


def section_tables(sections: Sequence[Section]) -> list[RenderableType]:
    """Numbers in percent (lengths in pixels), a dash where there is nothing to find; then rows of the classes.

    Sections that have a number's name in common, such as boxes and masks, stand side by side.
    """
    parts: list[RenderableType] = []
    for group in _side_by_side(sections):
        parts += [_numbers_table(group)]
        if 1 < max(len(section.per_class) for section in group) <= MOST_CLASSES:
            parts += [Text(f"By {group[0].row}"), _classes_table(group)]
        parts += [Text(f"{section.title}: {section.protocol}.", style="dim") for section in group]
    return parts


def difference_tables(first: Sequence[Section], second: Sequence[Section], names: tuple[str, str]) -> list[Table]:
    """The numbers of two runs side by side, for each rule that both were scored by.

    Args:
        first, second: Sections of the runs.
        names: What the runs are called.
    """
    others = {section.name: section for section in second}
    tables = []
    for section in first:
        if section.name in others:
            table = Table(section.title, *[Column(head, justify="right") for head in (*names, "difference")])
            for name, value in section.numbers.items():
                other = others[section.name].numbers.get(name)
                row = [written(section, name, value), written(section, name, other)]
                if value is None or other is None or -1 in (value, other):
                    table.add_row(name, *row, "-")
                else:
                    table.add_row(name, *row, written(section, name, other - value, sign=True))
            tables.append(table)
    return tables


def written(section: Section, name: str, value: float | None, *, sign: bool = False) -> str:
    """A number of a section as people read it; a difference always with its sign."""
    if value is None or (value == -1 and not sign):
        return "-"
    plus = "+" if sign else ""
    return f"{value:{plus}.2f} px" if name in section.lengths else f"{100 * value:{plus}.1f}"


def _side_by_side(sections: Sequence[Section]) -> Iterator[list[Section]]:
    group: list[Section] = []
    for section in sections:
        if group and not set(section.numbers) & set(group[-1].numbers):
            yield group
            group = []
        group.append(section)
    if group:
        yield group


def _numbers_table(group: Sequence[Section]) -> Table:
    table = Table("", *[Column(section.title, justify="right") for section in group])
    names = list(dict.fromkeys(name for section in group for name in section.numbers))
    for name in names:
        row = [written(section, name, section.numbers.get(name)) for section in group]
        table.add_row(name, *row, style="bold" if name == names[0] else None)
    return table


def _classes_table(group: Sequence[Section]) -> Table:
    """A row for each class that any of the sections has."""
    columns = [(section, name) for section in group for name in _class_columns(section)]
    heads = [
        Column(f"{section.title} {name}" if len(group) > 1 else name, justify="right") for section, name in columns
    ]
    table = Table(Column(group[0].row, no_wrap=True), *heads)
    for label in dict.fromkeys(label for section in group for label in section.per_class):
        rows = [section.per_class.get(label, {}) for section, _ in columns]
        numbers = [written(section, name, row.get(name)) for (section, name), row in zip(columns, rows, strict=True)]
        table.add_row(Text(label), *numbers)
    return table


def _class_columns(section: Section) -> list[str]:
    return list(dict.fromkeys(name for row in section.per_class.values() for name in row))
