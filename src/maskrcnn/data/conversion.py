"""A data set of any format written as COCO files: one JSON file per split, and the pictures beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import DataError, SettingError
from ..ops.json_files import write_json
from .pictures import picture_size
from .records import CocoData, Record, common_folder
from .split import subset_contents

Pictures = Literal["copy", "link", "none"]
"""Files of their own, links to the old files, or nothing: the old files are used."""


def completed_contents(data: CocoData, folder: Path) -> dict[str, Any]:
    """A data set in COCO's terms with everything that other programs expect.

    `bbox`, `area` and `iscrowd` are filled in; objects without an outline have an empty `segmentation`; those that
    were skipped are left out.

    Args:
        data: Checked records.
        folder: The folder that the file names start from.
    """
    contents = subset_contents(data)
    names = {record.image_id: _name(record, folder) for record in data.records}
    objects = _objects(data.records)
    annotations = [_completed(found, *next(objects[found["image_id"]])) for found in contents["annotations"]]
    images = [{**image, "file_name": names[image["id"]]} for image in contents["images"]]
    return {**contents, "images": images, "annotations": annotations}


def write_coco(
    data: CocoData,
    file: Path,
    folder: Path,
    *,
    pictures: Pictures = "copy",
    say: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a split: pictures first, then the JSON file, each whole or not at all.

    Args:
        data: The split.
        file: JSON file to write.
        folder: Folder for the pictures; not used for "none".
        pictures: What becomes of them.
        say: Called with 1 for each picture that is checked, and copied if need be.

    Raises:
        DataError: A picture cannot be read, or is of another size than its record says.
        SettingError: Something that is read would be overwritten.
    """
    old = common_folder(data.records)
    contents = completed_contents(data, old)
    _refuse_own_files(data, contents, file, folder if pictures != "none" else old, pictures)
    for record, image in zip(data.records, contents["images"], strict=True):
        require_size(record)
        if pictures != "none":
            _bring(record.path, folder / image["file_name"], pictures)
        say(1)
    write_json(file, contents)


def require_size(record: Record) -> None:
    """Refuse a picture whose file is of another size than its record says, so that no annotation would fit.

    Raises:
        DataError: It is, or it cannot be read.
    """
    height, width = picture_size(record.path)
    if (height, width) != record.size:
        raise DataError(
            f"{record.path}: the picture is {width} px wide and {height} px high, but its annotations are for "
            f"{record.size[1]} x {record.size[0]}. Bring the picture that was annotated, or correct the record."
        )


def _name(record: Record, folder: Path) -> str:
    return Path(os.path.relpath(record.path.absolute(), folder)).as_posix()


def _objects(records: list[Record]) -> dict[int, Iterator[tuple[Record, int]]]:
    """The objects of each picture, in the order of its annotations."""
    return {record.image_id: zip(repeat(record), range(len(record.instances)), strict=False) for record in records}


def _completed(found: dict[str, Any], record: Record, i: int) -> dict[str, Any]:
    box = found.get("bbox") or _shortest_box(record, i)
    outlined = bool(found.get("segmentation"))
    area = found.get("area")
    if area is None:
        assert record.instances.masks is not None
        area = int(record.instances.masks.crop(i).bitmap.sum()) if outlined else box[2] * box[3]
    more = {"bbox": box, "area": area, "iscrowd": found.get("iscrowd", 0)}
    return {**found, **more, "segmentation": found["segmentation"] if outlined else []}


def _shortest_box(record: Record, i: int) -> list[float]:
    """x, y, width, height with the fewest digits that are the same 32-bit numbers."""
    x1, y1, x2, y2 = (float(str(np.float32(value))) for value in record.instances.boxes[i].tolist())
    return [x1, y1, round(x2 - x1, 6), round(y2 - y1, 6)]


def _refuse_own_files(data: CocoData, contents: dict[str, Any], file: Path, folder: Path, pictures: Pictures) -> None:
    new = {_entry(file)}
    if pictures != "none":
        new |= {_entry(folder / image["file_name"]) for image in contents["images"]}
    used = [data.source, *(record.path for record in data.records)]
    old = {place for path in used for place in (_entry(path), path.resolve())}
    both = sorted(new & old)
    if both:
        raise SettingError(f"{both[0]}: belongs to the data set that is converted. Give another folder to write to.")


def _entry(path: Path) -> Path:
    """The place itself, also if a link is there."""
    return path.parent.resolve() / path.name


def _bring(source: Path, target: Path, pictures: Pictures) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if pictures == "link":
            temporary.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
