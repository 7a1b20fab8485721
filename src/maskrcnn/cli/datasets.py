"""Annotated datasets on the command line: of any format, named or recognized."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import counted, waiting
from .console import say

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..predict.class_match import ClassMatch
    from ..predict.predictor import Predictor


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
        data = read_dataset(path, split, form=form, images=images, skip_invalid=skip_invalid)
    print_skipped(data)
    return data.where(where or [])


def print_skipped(data: Dataset, most: int | None = None) -> None:
    """Name the objects that were left out, `most` of them; None: all."""
    named = data.skipped[:most]
    for message in named:
        say(f"Left out: {message}")
    if len(named) < len(data.skipped):
        say(f"Left out: {counted(len(data.skipped) - len(named), 'more object')} of {data.source}")


def fit_data(predictor: Predictor, data: Dataset, proposals: Path | None) -> tuple[Dataset, ClassMatch]:
    """As `predict.evaluation.fit_dataset`; what people should know about the classes is said."""
    from ..predict.evaluation import fit_dataset

    data, match = fit_dataset(predictor, data, proposals)
    for note in match.notes:
        say(f"Note: {note}.")
    return data, match
