"""An ablation as a table: measured beside published, and how many of the paper's orders were seen."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from rich.console import Group
from rich.table import Table

from ..config.presets import Study

SCORES = ("AP", "AP50", "AP75")
Measured = Mapping[str, Mapping[str, Any]]


def ablation_table(study: Study, measured: Measured) -> Group:
    """For the terminal.

    Args:
        study: What was varied.
        measured: Scores in 0..1 and seconds by variant; those that are missing are still to come.
    """
    table = Table(title=f"{study.title} (table {study.table}), {_kind(study)}", title_justify="left")
    for column in _columns():
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in _rows(study, measured):
        table.add_row(*row)
    return Group(table, _orders(study, measured))


def ablation_markdown(study: Study, measured: Measured) -> str:
    """The same as Markdown."""
    lines = [f"### {study.title} (table {study.table}), {_kind(study)}", ""]
    lines += ["| " + " | ".join(_columns()) + " |", "|" + "---|" * len(_columns())]
    lines += ["| " + " | ".join(row) + " |" for row in _rows(study, measured)]
    return "\n".join([*lines, "", _orders(study, measured), ""])


def _kind(study: Study) -> str:
    return "mask AP" if study.score == "segm" else "keypoint AP"


def _columns() -> list[str]:
    return ["variant", *SCORES, "minutes", *(f"paper {score}" for score in SCORES)]


def _rows(study: Study, measured: Measured) -> list[list[str]]:
    rows = []
    for name, variant in study.variants.items():
        found = measured.get(name)
        ours = [f"{100 * found[score]:.1f}" for score in SCORES] if found else [""] * len(SCORES)
        minutes = f"{found['seconds'] / 60:.1f}" if found else ""
        paper = [f"{value:.1f}" for value in variant.published]
        rows.append([name, *ours, minutes, *paper, *[""] * (len(SCORES) - len(paper))])
    return rows


def _orders(study: Study, measured: Measured) -> str:
    """Which of the paper's orders of two variants hold here, by AP."""
    said = []
    for first, second in combinations([name for name in study.variants if name in measured], 2):
        better, worse = sorted((first, second), key=lambda name: -study.variants[name].published[0])
        if study.variants[better].published[0] == study.variants[worse].published[0]:
            continue
        gain = 100 * (measured[better]["AP"] - measured[worse]["AP"])
        said.append(f"{better} over {worse}: {'seen' if gain > 0 else 'not seen'} ({gain:+.1f})")
    return "The paper's orders: " + ("; ".join(said) or "none to compare yet") + "."
