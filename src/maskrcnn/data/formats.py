"""The formats of datasets: what a path holds is recognized, and read into the same records.

Each format is a `Format` in a module of `data/readers`, whose docstring shows how to write one; `FORMATS` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from ..errors import DataError, SettingError
from .dataset import Contents, Dataset
from .readers import (
    bdd100k,
    cityscapes,
    class_maps,
    coco,
    createml,
    csv_boxes,
    cvat,
    darwin,
    datumaro,
    dota,
    label_studio,
    labelbox,
    labelme,
    lvis,
    mask_images,
    mhp,
    ochuman,
    scalabel,
    superannotate,
    supervisely,
    text,
    via,
    voc,
    yolo,
)
from .readers.coco_folders import SPLITS, canonical_split, split_of
from .readers.contents import Format, explaining

IN_ORDER = (
    yolo.FORMAT,
    labelme.FORMAT,
    cvat.FORMAT,
    via.FORMAT,
    cityscapes.FORMAT,
    mhp.FORMAT,
    ochuman.FORMAT,
    voc.FORMAT,
    voc.SBD,
    bdd100k.FORMAT,
    scalabel.FORMAT,
    lvis.FORMAT,
    text.ICDAR,
    text.CTW1500,
    label_studio.FORMAT,
    labelbox.FORMAT,
    darwin.FORMAT,
    superannotate.FORMAT,
    supervisely.FORMAT,
    datumaro.FORMAT,
    createml.FORMAT,
    csv_boxes.FORMAT,
    dota.FORMAT,
    coco.FORMAT,  # takes every JSON file that no other format knows; images of masks may lie beside its files
    mask_images.MASK_FOLDERS,
    class_maps.CLASS_MAPS,
    mask_images.LABEL_MAPS,
)
"""In the order in which they are asked; the first that is found counts."""

FORMATS: dict[str, Format] = {form.name: form for form in IN_ORDER}
"""By the name it has on the command line."""


def read_dataset(
    path: Path | str,
    split: str = "train",
    *,
    form: str | Format | None = None,
    images: Path | None = None,
    skip_invalid: bool = False,
) -> Dataset:
    """Read a dataset of any of the formats.

    Args:
        path: Its folder or file.
        split: "train", "val" (or "valid", "validation") or "test", where the path holds several.
        form: Name of the format, or one of your own, see `maskrcnn.data.readers`; None: recognized.
        images: Folder of the images, if it is not where the format has it.
        skip_invalid: Leave objects that cannot be used out, and list them in `skipped`, where one would be an error.

    Raises:
        DataError: Nothing known is there, or it cannot be used.
        SettingError: There is no such format.
    """
    return coco.to_data(read_contents(Path(path), split, form=form, images=images), skip_invalid=skip_invalid)


class Reading(TypedDict, total=False):
    """How `read_dataset` reads."""

    form: str | None
    images: Path | None
    skip_invalid: bool


def find_splits(path: Path, names: Sequence[str] = (), *, form: str | None = None) -> tuple[str, list[str]]:
    """The format of a path, and the splits it holds; a file without splits has that of its name.

    Args:
        path: Folder or file.
        names: Splits that are asked for; none: all that are there.
        form: Name of the format; None: recognized.

    Raises:
        DataError, SettingError: As for `recognize` and `require_format`.
    """
    names = [canonical_split(name) for name in names]
    first = next((name for name in names or SPLITS if has_split(path, name, form=form)), None)
    if first is None:
        first = names[0] if names else split_of(path) if path.is_file() else "train"
    own = recognize(path, first) if form is None else require_format(form)
    return own, list(names or [name for name in SPLITS if has_split(path, name, form=own)]) or [first]


def read_contents(
    path: Path, split: str = "train", *, form: str | Format | None = None, images: Path | None = None
) -> Contents:
    """A split of a dataset in COCO's terms, unchecked; arguments and errors as for `read_dataset`."""
    split = canonical_split(split)
    if isinstance(form, Format):  # what is wrong in a reader of the user's must not look like wrong data
        return form.read(path, split, images)
    with explaining(path):
        known = FORMATS[recognize(path, split) if form is None else require_format(form)]
        return known.read(path, split, images)


def recognize(path: Path, split: str = "train") -> str:
    """Name of the format a path holds.

    Raises:
        DataError: There is no such path, or none of the formats is found there.
    """
    split = canonical_split(split)
    name = _find(path, split)
    if name is not None:
        return name
    others = {other: found for other in SPLITS if other != split and (found := _find(path, other)) is not None}
    if others:
        there = " and ".join(f"`{other}` ({FORMATS[found].title})" for other, found in others.items())
        raise DataError(
            f"{path}: has no split `{split}`, but {there}. Give one of these (split=, --split), or its file."
        )
    yolo.require_description(path)
    known = "".join(f"\n  {name}: {form.title}: {form.layout}" for name, form in FORMATS.items())
    raise DataError(
        f"{path}: no dataset with a split `{split}` was recognized. Name the files as one of the formats has them, "
        f"name the format (form='coco', --format coco), or give the annotation file itself. The formats are{known}"
    )


def has_split(path: Path, split: str, *, form: str | None = None) -> bool:
    """Whether a path holds a split apart from its others; a file that is one split has none.

    Args:
        form: Name of the format; None: recognized.
    """
    split = canonical_split(split)
    name = form or _find(path, split)
    if name is None:
        return False
    chosen = FORMATS[require_format(name)]
    return chosen.parted(path, split) if path.is_file() else chosen.found(path, split)


def split_meant(path: Path, split: str, *, form: str | None = None) -> str:
    """The split itself, or the only one that a folder holds if it does not hold this one.

    Args:
        path: A folder or file that somebody gave for this split.
        split, form: As for `has_split`.
    """
    split = canonical_split(split)
    if path.is_file() or has_split(path, split, form=form):
        return split
    others = [other for other in SPLITS if has_split(path, other, form=form)]
    return others[0] if len(others) == 1 else split


def require_format(name: str) -> str:
    """The name itself, if a format has it.

    Raises:
        SettingError: None has.
    """
    if name not in FORMATS:
        raise SettingError(f"format {name} (--format): there is no such format. Known are {', '.join(FORMATS)}.")
    return name


def _find(path: Path, split: str) -> str | None:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder. Give a dataset's folder or its annotation file.")
    return next((name for name, form in FORMATS.items() if form.found(path, split)), None)
