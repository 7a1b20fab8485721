"""The splits of a dataset, read so that what is wrong with them is a finding, and does not end everything."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.dataset import Contents, Dataset, is_panoptic
from ..data.formats import find_splits, read_contents, require_format
from ..data.images import image_size
from ..data.readers.coco import to_data
from ..data.readers.contents import other_spelling
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..structures.coco_forms import is_number
from .findings import Example, Finding, about


@dataclass(frozen=True, eq=False)
class Split:
    """One split, and what its file says that its records do not keep.

    Args:
        name: "train", "val" or "test".
        data: Its images that are there, with their objects that can be used.
        boxes: [N, 4] x1, y1, x2, y2 of all these objects in the order of the records, as they are annotated, before
            they are cut at the image's border; NaN where the file has none.
        ids: N ids of their annotations.
    """

    name: str
    data: Dataset
    boxes: np.ndarray
    ids: tuple[Any, ...]


class ReadSplits(NamedTuple):
    """Splits that could be read, and what is wrong with those and with the others."""

    splits: list[Split]
    findings: list[Finding]


def read_splits(
    data: Path | str | Dataset,
    *,
    val: Path | str | Dataset | None = None,
    names: Sequence[str] = (),
    form: str | None = None,
    images: Path | None = None,
) -> ReadSplits:
    """Read all splits that a path holds; a dataset that was read before is the split "train", or "val".

    Args:
        data: Folder or file of any format of `data.formats`, or a dataset.
        val: A second one, of validation images.
        names: Of the splits; none: "train", "val" and "test", as far as they are there.
        form: Name of the format; None: recognized.
        images: Folder of the images, if it is not where the format has it.

    Raises:
        DataError: Nothing known is there.
        SettingError: There is no such format.
    """
    if form is not None:
        require_format(form)
    places: list[tuple[str, Path | Dataset]] = []
    if isinstance(data, Dataset):
        places.append(("train", data))
    else:
        places += [(name, Path(data)) for name in find_splits(Path(data), names, form=form)[1]]
    if val is not None:
        second = val if isinstance(val, Dataset) else Path(val)
        places = [place for place in places if place[0] != "val"] + [("val", second)]
    found: list[Split] = []
    findings: list[Finding] = []
    for name, place in places:
        try:
            split, problems = (
                split_of_data(place, name)
                if isinstance(place, Dataset)
                else read_split(place, name, form=form, images=images)
            )
        except DataError as error:
            findings.append(
                Finding("error", "unreadable-split", f"{name}: it cannot be read. {error}", "Do what the message says.")
            )
            continue
        if val is None and any(_same_images(split, other) for other in found):
            continue  # a format without splits gives the same for every name
        found.append(split)
        findings += problems
    return ReadSplits(found, findings)


def read_split(
    path: Path, name: str, *, form: str | None = None, images: Path | None = None
) -> tuple[Split, list[Finding]]:
    """Read one split without the images and objects that cannot be used, and say which these are.

    Raises:
        DataError: The file itself cannot be used.
    """
    contents = read_contents(path, name, form=form, images=images)
    lost, gone = _lost_images(contents)
    usable = without_images(contents, gone) if gone else contents
    split, invalid = split_of_data(to_data(usable, skip_invalid=True), name)
    return split, [*invalid, *_lost_findings(name, lost, contents)]


def split_of_data(data: Dataset, name: str) -> tuple[Split, list[Finding]]:
    """A dataset as a split, and what is wrong with its objects that were left out."""
    boxes, ids = _annotated(data.coco, data)
    return Split(name, data, boxes, ids), [*_invalid_objects(name, data), *_derived_fields(name, data)]


def without_images(contents: Contents, gone: set[int]) -> Contents:
    """The same without some images, by their place in the list, and without their objects."""
    images = contents.coco["images"]
    ids = {images[place].get("id") for place in gone}
    kept = [image for place, image in enumerate(images) if place not in gone]
    known = {image.get("id") for image in kept}
    annotations = [
        one
        for one in contents.coco.get("annotations", [])
        if not _hashable(one.get("image_id")) or one.get("image_id") not in ids or one.get("image_id") in known
    ]
    return contents._replace(coco={**contents.coco, "images": kept, "annotations": annotations})


def _same_images(split: Split, other: Split) -> bool:
    paths = [[record.path for record in each.data.records] for each in (split, other)]
    return paths[0] == paths[1] and split.data.source == other.data.source


class _Lost(NamedTuple):
    missing: list[Path]
    unreadable: list[str]


def _lost_images(contents: Contents) -> tuple[_Lost, set[int]]:
    """Images that are not there, or are needed for their size but cannot be opened, and their places."""
    lost, gone = _Lost([], []), set()
    for place, image in enumerate(contents.coco["images"]):
        file_name = image.get("file_name")
        if not isinstance(file_name, str):
            continue  # the reader says what is wrong with it
        path = Path(contents.images) / file_name
        if not path.is_file() and other_spelling(Path(contents.images), file_name) is None:
            lost.missing.append(path)
            gone.add(place)
        elif image.get("height") is None or image.get("width") is None:
            try:
                image_size(path if path.is_file() else other_spelling(Path(contents.images), file_name) or path)
            except DataError as error:
                lost.unreadable.append(str(error))
                gone.add(place)
    return lost, gone


def _lost_findings(name: str, lost: _Lost, contents: Contents) -> Iterator[Finding]:
    total = len(contents.coco["images"])
    what = f"images of {contents.source.name} are not there."
    advice = f"Check the folder {contents.images} (--images names another one), or take these records out of the file."
    yield from _errors(lost.missing, total, name, "missing-images", what, advice)
    what, advice = "images cannot be opened.", "Copy or export them again, or take them out of the dataset."
    yield from _errors(lost.unreadable, total, name, "unreadable-images", what, advice)


def _invalid_objects(name: str, data: Dataset) -> Iterator[Finding]:
    total = sum(len(record.instances) for record in data.records) + len(data.skipped)
    what = "objects break a rule of the format and cannot be used."
    advice = "Correct them, or leave them out: `maskrcnn train --skip-invalid`."
    yield from _errors(data.skipped, total, name, "invalid-objects", what, advice)


def _derived_fields(name: str, data: Dataset) -> Iterator[Finding]:
    if data.coco is not None and not is_panoptic(data.coco):
        advice = "Nothing here uses them, but other programs do: `maskrcnn convert-data` writes right ones."
        for remark in Annotations.parse(data.to_coco(), source=data.source.name).remarks:
            yield Finding("warning", "derived-fields", f"{name}: {remark}.", advice)


def _errors(problems: Sequence[object], total: int, split: str, name: str, what: str, advice: str) -> Iterator[Finding]:
    examples = [Example(str(problem)) for problem in problems]
    yield from about(len(problems), total, split, "error", name, what, advice, examples)


def _annotated(coco: dict[str, Any] | None, data: Dataset) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Boxes and ids of the objects as the file has them, in the order of the records."""
    count = sum(len(record.instances) for record in data.records)
    if coco is None or is_panoptic(coco):
        return np.full((count, 4), np.nan), ("?",) * count
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for place, annotation in enumerate(coco.get("annotations", [])):
        if place not in data.skipped_places:
            objects[annotation["image_id"]].append(annotation)
    ordered = [one for record in data.records for one in objects[record.image_id]]
    boxes = np.array([_corners(one.get("bbox")) for one in ordered], dtype=np.float64).reshape(-1, 4)
    return boxes, tuple(one.get("id", "?") for one in ordered)


def _corners(box: object) -> tuple[float, float, float, float]:
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
        return np.nan, np.nan, np.nan, np.nan
    x, y, width, height = box
    return x, y, x + width, y + height


def _hashable(value: object) -> bool:
    return not isinstance(value, list | dict)
