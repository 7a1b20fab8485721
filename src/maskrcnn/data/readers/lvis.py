"""LVIS (https://www.lvisdataset.org): COCO's images and format, annotated for some of the classes in each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...errors import DataError
from ..dataset import Contents
from .coco import parse_coco
from .contents import Format

VERSIONS = ("v1", "v0.5")


def is_lvis(path: Path, split: str) -> bool:
    """Whether a path is a file of LVIS, by its name (`lvis_v1_val.json`), or a folder that holds a split's."""
    if path.is_file():
        return path.name.startswith("lvis_") and path.suffix == ".json"
    return _find(path, split) is not None


def read_lvis(path: Path, split: str = "val", images: Path | None = None) -> Contents:
    """Read a split of LVIS.

    Its images are named by their addresses: `http://images.cocodataset.org/val2017/000000397133.jpg` lies at
    `val2017/000000397133.jpg`; LVIS's validation images come from both of COCO's folders. What is known of each
    image (`neg_category_ids`, `not_exhaustive_category_ids`) and of each class (`frequency`) stays in the records.

    Args:
        path: Such as `lvis_v1_val.json`, or the folder that holds it, or that holds it in `annotations/`.
        split: "train", "val" or another one that files are named after, for a folder.
        images: Folder with `train2017/` and `val2017/`; None: the file's, or the one above `annotations/`.

    Raises:
        DataError: There is no such file, or an image has neither an address nor a name.
    """
    file = path if path.is_file() else _find(path, split)
    if file is None:
        raise DataError(f"{path}: holds no lvis_v1_{split}.json, nor annotations/lvis_v1_{split}.json. Give the file.")
    content = parse_coco(file)
    entries = [{**image, "file_name": _file_name(file, image)} for image in content["images"]]
    beside = file.parent.parent if file.parent.name == "annotations" else file.parent
    return Contents(file, images or beside, {**content, "images": entries})


def _find(folder: Path, split: str) -> Path | None:
    """The file of a split, the newest version first."""
    files = [
        place / f"lvis_{version}_{split}.json" for version in VERSIONS for place in (folder, folder / "annotations")
    ]
    return next((file for file in files if file.is_file()), None)


def _file_name(file: Path, image: dict[str, Any]) -> str:
    address = image.get("coco_url")
    if isinstance(address, str) and len(parts := urlsplit(address).path.split("/")) > 1:
        return "/".join(parts[-2:])
    if isinstance(image.get("file_name"), str):  # of another version, or a copy with names of its own
        return image["file_name"]
    raise DataError(
        f"{file}: image {image.get('id')!r}: `coco_url` is {address!r}, but it must be the image's address, such as "
        "http://images.cocodataset.org/val2017/000000397133.jpg. Give LVIS's own annotation file."
    )


FORMAT = Format("lvis", "LVIS", "lvis_v1_val.json beside train2017/ and val2017/", is_lvis, read_lvis)
