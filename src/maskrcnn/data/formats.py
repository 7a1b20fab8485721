"""The formats of data sets: what a path holds is recognised, and read into the same records.

Each format is a reader in `data/readers` that says a folder or file in COCO's terms (`Contents`), and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from ..errors import DataError, SettingError
from .readers.bdd100k import LAYOUT as BDD100K
from .readers.bdd100k import has_bdd100k, read_bdd100k
from .readers.cityscapes import LAYOUT as CITYSCAPES
from .readers.cityscapes import has_cityscapes, read_cityscapes
from .readers.coco import parse_coco, to_data
from .readers.coco_folders import SPLITS, find_coco, split_of
from .readers.coco_folders import has_split as has_coco_split
from .readers.ctw1500 import LAYOUT as CTW1500
from .readers.ctw1500 import has_ctw1500, read_ctw1500
from .readers.cvat import is_cvat, is_part_of_cvat, read_cvat
from .readers.icdar import LAYOUT as ICDAR
from .readers.icdar import has_icdar, read_icdar
from .readers.labelme import is_labelme, read_labelme
from .readers.lvis import is_lvis, read_lvis
from .readers.mask_folders import LAYOUT as MASK_FOLDERS
from .readers.mask_folders import has_mask_folders, read_mask_folders
from .readers.mask_pictures import LAYOUT as LABEL_MAPS
from .readers.mask_pictures import has_label_maps, read_label_maps
from .readers.mhp import has_mhp, read_mhp
from .readers.ochuman import has_ochuman, is_part_of_ochuman, read_ochuman
from .readers.sbd import LAYOUT as SBD
from .readers.sbd import is_sbd, read_sbd
from .readers.scalabel import is_scalabel, read_scalabel
from .readers.via import is_via, read_via
from .readers.voc import is_voc, read_voc
from .readers.yolo import is_yolo, read_yolo, require_description
from .records import CocoData, Contents


def _is_one_split(path: Path, split: str) -> bool:
    return False


class Format(NamedTuple):
    """A format of data sets.

    Args:
        title: Its name for people.
        layout: The files that belong to it, one line.
        found: Whether a path holds a split of it, by names and the first bytes of a file only. A folder without
            splits is the split "train"; a file is any split, unless it is `parted`.
        read: Contents of a split (path, split, folder of the pictures or None).
        parted: Whether a file holds a split beside others; most files are one split.
    """

    title: str
    layout: str
    found: Callable[[Path, str], bool]
    read: Callable[[Path, str, Path | None], Contents]
    parted: Callable[[Path, str], bool] = _is_one_split


def _read_coco(path: Path, split: str, images: Path | None) -> Contents:
    files = find_coco(path, split, images=images)
    return Contents(files.annotations, files.images, parse_coco(files.annotations))


def _is_coco(path: Path, split: str) -> bool:
    return path.suffix == ".json" if path.is_file() else has_coco_split(path, split)


# COCO takes every JSON file that no other format knows; pictures of masks may lie beside its files.
FORMATS: dict[str, Format] = {
    "yolo": Format("YOLO", "data.yaml or classes.txt, images/train/ and labels/train/", is_yolo, read_yolo, is_yolo),
    "labelme": Format(
        "LabelMe", "one JSON file beside each picture, or train/ and val/ of them", is_labelme, read_labelme
    ),
    "cvat": Format("CVAT for images", "annotations.xml beside images/", is_cvat, read_cvat, is_part_of_cvat),
    "via": Format(
        "VGG Image Annotator", "one JSON or CSV file in train/ and val/, or beside the pictures", is_via, read_via
    ),
    "cityscapes": Format("Cityscapes", CITYSCAPES, has_cityscapes, read_cityscapes),
    "mhp": Format("Multi-Human Parsing v2", "list/val.txt, val/images/, val/parsing_annos/", has_mhp, read_mhp),
    "ochuman": Format("OCHuman", "ochuman.json beside images/", has_ochuman, read_ochuman, is_part_of_ochuman),
    "voc": Format(
        "Pascal VOC", "Annotations/, JPEGImages/ and ImageSets/Main/train.txt, or train/*.xml", is_voc, read_voc
    ),
    "bdd100k": Format("BDD100K instance segmentation", BDD100K, has_bdd100k, read_bdd100k),
    "scalabel": Format("Scalabel", "train.json and val.json beside images/", is_scalabel, read_scalabel),
    "sbd": Format("Semantic Boundaries Dataset", SBD, is_sbd, read_sbd),
    "lvis": Format("LVIS", "lvis_v1_val.json beside train2017/ and val2017/", is_lvis, read_lvis),
    "icdar": Format("ICDAR 2015 text", ICDAR, has_icdar, read_icdar),
    "ctw1500": Format("CTW1500 text", CTW1500, has_ctw1500, read_ctw1500),
    "coco": Format("COCO", "annotations/instances_val2017.json beside val2017/, or val.json", _is_coco, _read_coco),
    "mask-folders": Format("masks of each object", MASK_FOLDERS, has_mask_folders, read_mask_folders),
    "label-maps": Format("label maps", LABEL_MAPS, has_label_maps, read_label_maps),
}
"""By the name it has on the command line; the first that is found counts."""


def read_data(
    path: Path | str,
    split: str = "train",
    *,
    form: str | None = None,
    images: Path | None = None,
    skip_invalid: bool = False,
) -> CocoData:
    """Read a data set of any of the formats.

    Args:
        path: Its folder or file.
        split: "train", "val" or "test", where the path holds several.
        form: Name of the format; None: recognised.
        images: Folder of the pictures, if it is not where the format has it.
        skip_invalid: Leave objects that cannot be used out, and list them in `skipped`, where one would be an error.

    Raises:
        DataError: Nothing known is there, or it cannot be used.
        SettingError: There is no such format.
    """
    return to_data(read_contents(Path(path), split, form=form, images=images), skip_invalid=skip_invalid)


class Reading(TypedDict, total=False):
    """How `read_data` reads."""

    form: str | None
    images: Path | None
    skip_invalid: bool


def find_splits(path: Path, names: Sequence[str] = (), *, form: str | None = None) -> tuple[str, list[str]]:
    """The format of a path, and the splits it holds; a file without splits has that of its name.

    Args:
        path: Folder or file.
        names: Splits that are asked for; none: all that are there.
        form: Name of the format; None: recognised.

    Raises:
        DataError, SettingError: As for `recognise` and `require_format`.
    """
    first = next((name for name in names or SPLITS if has_split(path, name, form=form)), None)
    if first is None:
        first = names[0] if names else split_of(path) if path.is_file() else "train"
    own = recognise(path, first) if form is None else require_format(form)
    return own, list(names or [name for name in SPLITS if has_split(path, name, form=own)]) or [first]


def read_contents(path: Path, split: str = "train", *, form: str | None = None, images: Path | None = None) -> Contents:
    """A split of a data set in COCO's terms, unchecked; arguments and errors as for `read_data`."""
    name = recognise(path, split) if form is None else require_format(form)
    return FORMATS[name].read(path, split, images)


def recognise(path: Path, split: str = "train") -> str:
    """Name of the format a path holds.

    Raises:
        DataError: There is no such path, or none of the formats is found there.
    """
    name = _find(path, split)
    if name is not None:
        return name
    others = {other: found for other in SPLITS if other != split and (found := _find(path, other)) is not None}
    if others:
        there = " and ".join(f"`{other}` ({FORMATS[found].title})" for other, found in others.items())
        raise DataError(f"{path}: has no split `{split}`, but {there}. Give one of these with --split, or its file.")
    require_description(path)
    known = "".join(f"\n  {name}: {form.title}: {form.layout}" for name, form in FORMATS.items())
    raise DataError(
        f"{path}: no data set with a split `{split}` was recognised. Name the files as one of the formats has them, "
        f"name the format with --format, or give the annotation file itself. The formats are{known}"
    )


def has_split(path: Path, split: str, *, form: str | None = None) -> bool:
    """Whether a path holds a split apart from its others; a file that is one split has none.

    Args:
        form: Name of the format; None: recognised.
    """
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
        raise SettingError(f"--format {name}: there is no such format. Known are {', '.join(FORMATS)}.")
    return name


def _find(path: Path, split: str) -> str | None:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder. Give a data set's folder or its annotation file.")
    return next((name for name, form in FORMATS.items() if form.found(path, split)), None)
