"""The images that an annotation file in COCO's format names."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ..images import image_size
from .coco_objects import is_id

NAMED = 5
"""How many missing files a message names."""


class ImageEntry(NamedTuple):
    """A record of the file's `images`, without objects."""

    path: Path
    size: tuple[int, int]
    fields: dict[str, Any]


def read_images(
    file: Path, images: list[dict[str, Any]], folder: Path, *, in_memory: Collection[int] = ()
) -> dict[int, ImageEntry]:
    """The images of a file by their ids, in its order.

    Args:
        file: The annotation file, for messages.
        images: Its list of images.
        folder: Where they lie.
        in_memory: Ids of those for which there is no file.

    Raises:
        DataError: An id, a name or a size is wrong, or an image is not there.
    """
    for image in images:
        if not is_id(image.get("id")) or not isinstance(image.get("file_name"), str):
            rule = "`id` must be a whole number and `file_name` a text"
            raise DataError(
                f"{file}: image {image.get('id')!r} ({image.get('file_name')!r}): {rule}. Correct the file."
            )
    require_files(file, folder, [image["file_name"] for image in images if image["id"] not in in_memory])
    found_images: dict[int, ImageEntry] = {}
    for image in images:
        image_id, path = image["id"], Path(folder) / image["file_name"]
        if image_id in found_images:
            first = found_images[image_id].path.name
            raise DataError(
                f"{file}: image id {image_id} is used twice ({first} and {path.name}). Give each its own id."
            )
        fields = {key: value for key, value in image.items() if key not in ("id", "file_name", "width", "height")}
        found_images[image_id] = ImageEntry(path, _image_size(file, image, path), fields)
    return found_images


def _image_size(file: Path, image: dict[str, Any], path: Path) -> tuple[int, int]:
    height, width = image.get("height"), image.get("width")
    if height is None or width is None:
        return image_size(path)
    if not (is_id(height) and is_id(width) and height > 0 and width > 0):
        raise DataError(
            f"{file}: image {image['id']} ({path.name}): {width!r} x {height!r} is not a size; `width` and `height` "
            "must be whole numbers above 0. Correct them, or leave both out to have them read from the image."
        )
    return height, width


def require_files(file: Path, folder: Path, names: list[str]) -> None:
    """Refuse a dataset some of whose images are missing; one look into each folder, however many there are.

    Raises:
        DataError: Naming some of them.
    """
    listed: dict[Path, set[str]] = {}
    missing = []
    for path in (Path(folder) / name for name in names):
        if path.parent not in listed:
            listed[path.parent] = set(os.listdir(path.parent)) if path.parent.is_dir() else set()
        if path.name not in listed[path.parent]:
            missing.append(path)
    if missing:
        named = ", ".join(str(path) for path in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        raise DataError(
            f"{file}: {len(missing)} of its {len(names)} images are not there: {named}. Check the folder of the "
            "images, or take these records out of the file."
        )
