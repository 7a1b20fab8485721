"""Annotated datasets on the command line: of any format, named or recognized."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..progress import waiting

if TYPE_CHECKING:
    from ..data.dataset import Dataset

DataFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="Format of the data: `coco`, `yolo`, `labelme`, ...; default: recognized."
    ),
]
"""The formats that exist are listed by the message about one that does not."""
ProposalFile = Annotated[
    Path | None,
    typer.Option(
        "--proposals",
        metavar="FILE",
        help="Boxes instead of the network's own proposals (Fast R-CNN): a file of `maskrcnn propose`, "
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
) -> Dataset:
    """The images of one split that fit some conditions; objects that are left out are named.

    Args:
        path, split, images, form, skip_invalid: As for `read_dataset`.
        where: Conditions as for `Dataset.where`.
    """
    from ..data.formats import read_dataset

    with waiting(f"reading {path}"):
        found = read_dataset(path, split, form=form, images=images, skip_invalid=skip_invalid)
    print_skipped(found)
    return found.where(where or [])


def print_skipped(data: Dataset, most: int | None = None) -> None:
    """Name the objects that were left out, `most` of them; None: all."""
    named = [f"Left out: {message}" for message in data.skipped[:most]]
    if len(named) < len(data.skipped):
        named.append(f"Left out: {len(data.skipped) - len(named)} more objects of {data.source}")
    for line in named:
        Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
