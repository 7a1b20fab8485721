"""Annotated data sets on the command line: of any format, named or recognised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..progress import waiting

if TYPE_CHECKING:
    from ..data.records import CocoData

DataFormat = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="Of the data: `coco`, `yolo`, `labelme`, ...; none: recognised."),
]
"""The formats that exist are listed by the message about one that does not."""
ProposalFile = Annotated[
    Path | None,
    typer.Option(
        "--proposals",
        metavar="FILE",
        help="Boxes that take the place of the network's own proposals (Fast R-CNN): a file of `maskrcnn propose`, "
        "COCO results, or Detectron's .pkl.",
    ),
]


def open_data(
    path: Path,
    split: str,
    *,
    images: Path | None = None,
    form: str | None = None,
    where: list[str] | None = None,
    skip_invalid: bool = False,
    most_said: int | None = None,
) -> CocoData:
    """The pictures of one split that fit some conditions; objects that are left out are named.

    Args:
        path, split, images, form, skip_invalid: As for `read_data`.
        where: Conditions as for `select_records`.
        most_said: How many of the objects that are left out are named; None: all.
    """
    from ..data.formats import read_data
    from ..data.selection import select_records

    with waiting(f"reading {path}"):
        found = read_data(path, split, form=form, images=images, skip_invalid=skip_invalid)
    named = [f"Left out: {message}" for message in found.skipped[:most_said]]
    if len(named) < len(found.skipped):
        named.append(f"Left out: {len(found.skipped) - len(named)} more objects of {found.source}")
    for line in named:
        Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
    return select_records(found, where or [])
