"""A dataset of any format written as COCO files: one JSON file per split, and the images beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, Unpack, get_args

import numpy as np
from torchvision.transforms.v2.functional import to_pil_image

from ..errors import DataError, SettingError, require_choice
from ..ops.files import finite_json, write_json
from ..progress import Announce, silently
from ..structures.derived_fields import usable_area, visible_keypoints
from .dataset import Dataset, Record, common_folder
from .formats import Reading, find_splits, read_dataset
from .images import image_size

Images = Literal["copy", "link", "none"]
"""Files of their own, links to the old files, or nothing: the old files are used."""


def convert_dataset(
    source: Path | str | Dataset,
    target: Path | str,
    *,
    splits: Sequence[str] = (),
    images_as: Images = "copy",
    force: bool = False,
    announce: Announce = silently,
    **reading: Unpack[Reading],
) -> dict[str, Dataset]:
    """Write a dataset of any format as COCO files; `maskrcnn convert-data`.

    Args:
        source: Its folder or file; what is read is not changed. Or a dataset, which becomes the split `train`, or the
            one that `splits` names.
        target: Folder to write `train.json`, `val.json`, `test.json` and `images/` to.
        splits: Only these; none: all there are.
        images_as: What becomes of the images: copies, links to the old files, or nothing. Images in memory are written
            as PNG.
        force: Write over what an earlier conversion has written.
        announce: Shows progress.
        reading: `form`, `images` and `skip_invalid`, as for `read_dataset`.

    Returns:
        What was written, by the names of the splits.

    Raises:
        DataError: The dataset or an image cannot be read.
        SettingError: Something would be written over.
    """
    target = Path(target)
    require_choice("images_as", images_as, get_args(Images))
    names = list(dict.fromkeys(splits)) or (["train"] if isinstance(source, Dataset) else [])
    if not isinstance(source, Dataset):
        reading["form"], names = find_splits(Path(source), names, form=reading.get("form"))
    for name in names:
        _require_free(target, name, force=force)
    done: dict[str, Dataset] = {}
    for name in names:
        with announce(f"reading {name}", 0):
            found = source if isinstance(source, Dataset) else read_dataset(source, name, **reading)
        with announce(f"writing {name}", len(found)) as say:
            write_coco(found, target / f"{name}.json", target / "images" / name, images_as=images_as, say=say)
        done[name] = found.without_coco()
        _require_same_classes(done)
    return done


def _require_same_classes(done: dict[str, Dataset]) -> None:
    """Refuse splits that training would refuse together."""
    (first, known), *others = done.items()
    for name, found in others:
        if (found.classes.names, found.classes.category_ids) != (known.classes.names, known.classes.category_ids):
            raise DataError(
                f"{found.source}: the classes of {name} are {', '.join(found.classes.names)}, but those of {first} are "
                f"{', '.join(known.classes.names)}. Give all splits the same classes with the same ids."
            )


def _require_free(target: Path, split: str, *, force: bool) -> None:
    """Refuse to write over files before the long work."""
    if target.exists() and not target.is_dir():
        raise SettingError(f"{target}: this is a file, but a folder is needed to write to. Give another path.")
    there = [path for path in (target / f"{split}.json", target / "images" / split) if path.exists()]
    if there and not force:
        raise SettingError(
            f"{there[0]}: is there already. Give another folder, or write over it with force=True (--force)."
        )


def completed_contents(data: Dataset, folder: Path) -> dict[str, Any]:
    """A dataset in COCO's terms with everything that other programs expect.

    `bbox`, `area` and `iscrowd` are filled in; objects without a polygon have an empty `segmentation`; those that
    were skipped are left out.

    Args:
        data: Checked records.
        folder: The folder that the file names start from.
    """
    contents = data.to_coco()
    names = {record.image_id: _name(record, folder) for record in data.records}
    objects = _objects(data.records)
    annotations = [_completed(found, *next(objects[found["image_id"]])) for found in contents["annotations"]]
    images = [{**image, "file_name": names[image["id"]]} for image in contents["images"]]
    return {**contents, "images": images, "annotations": annotations}


def write_coco(
    data: Dataset, file: Path, folder: Path, *, images_as: Images = "copy", say: Callable[[int], None] = lambda _: None
) -> None:
    """Write a split: images first, then the JSON file, each whole or not at all.

    Args:
        data: The split.
        file: JSON file to write.
        folder: Folder for the images; not used for "none".
        images_as: What becomes of them.
        say: Called with 1 for each image that is checked, and copied if need be.

    Raises:
        DataError: An image cannot be read, or is of another size than its record says.
        SettingError: Something that is read would be overwritten.
    """
    held = next((record.path for record in data.records if record.pixels is not None), None)
    if held is not None and images_as != "copy":
        raise SettingError(f"{held}: the image is in memory and has no file. Write it with images_as='copy'.")
    old = common_folder(data.records)
    contents = completed_contents(data, old)
    _refuse_own_files(data, contents, file, folder if images_as != "none" else old, images_as)
    for record, image in zip(data.records, contents["images"], strict=True):
        require_size(record)
        if images_as != "none":
            _bring(record, folder / image["file_name"], images_as)
        say(1)
    write_json(file, finite_json(contents))


def require_size(record: Record) -> None:
    """Refuse an image whose file is of another size than its record says, so that no annotation would fit.

    Raises:
        DataError: It is, or it cannot be read.
    """
    height, width = image_size(record.path) if record.pixels is None else record.pixels.shape[1:]
    if (height, width) != record.size:
        raise DataError(
            f"{record.path}: the image is {width} px wide and {height} px high, but its annotations are for "
            f"{record.size[1]} x {record.size[0]}. Bring the image that was annotated, or correct the record."
        )


def _name(record: Record, folder: Path) -> str:
    return Path(os.path.relpath(record.path.absolute(), folder)).as_posix()


def _objects(records: list[Record]) -> dict[int, Iterator[tuple[Record, int]]]:
    """The objects of each image, in the order of its annotations."""
    return {record.image_id: zip(repeat(record), range(len(record.instances)), strict=False) for record in records}


def _completed(found: dict[str, Any], record: Record, i: int) -> dict[str, Any]:
    box = found.get("bbox") or _shortest_box(record, i)
    outlined = bool(found.get("segmentation"))
    area = usable_area(found.get("area"))
    if area is None:
        assert record.instances.masks is not None
        area = int(record.instances.masks.crop(i).bitmap.sum()) if outlined else box[2] * box[3]
    more = {"bbox": box, "area": area, "iscrowd": found.get("iscrowd") or 0}
    if isinstance(found.get("keypoints"), list) and "num_keypoints" in found:
        more["num_keypoints"] = visible_keypoints(found["keypoints"])
    return {**found, **more, "segmentation": found["segmentation"] if outlined else []}


def _shortest_box(record: Record, i: int) -> list[float]:
    """x, y, width, height with the fewest digits that are the same 32-bit numbers."""
    x1, y1, x2, y2 = (float(str(np.float32(value))) for value in record.instances.boxes[i].tolist())
    return [x1, y1, round(x2 - x1, 6), round(y2 - y1, 6)]


def _refuse_own_files(data: Dataset, contents: dict[str, Any], file: Path, folder: Path, images_as: Images) -> None:
    new = {_entry(file)}
    if images_as != "none":
        new |= {_entry(folder / image["file_name"]) for image in contents["images"]}
    used = [data.source, *(record.path for record in data.records)]
    old = {place for path in used for place in (_entry(path), path.resolve())}
    both = sorted(new & old)
    if both:
        raise SettingError(f"{both[0]}: belongs to the dataset that is converted. Give another folder to write to.")


def _entry(path: Path) -> Path:
    """The place itself, also if a link is there."""
    return path.parent.resolve() / path.name


def _bring(record: Record, target: Path, images_as: Images) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if record.pixels is not None:
            to_pil_image(record.pixels).save(temporary, format="PNG")
        elif images_as == "link":
            temporary.symlink_to(record.path.resolve())
        else:
            shutil.copyfile(record.path, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
