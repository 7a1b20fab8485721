"""Images as annotation tools describe them, each with drawn objects, gathered in COCO's terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ...structures.coco_forms import is_number
from ..dataset import Contents
from ..images import IMAGES
from .contents import ContentsBuilder, find_image
from .split_files import IsFile, all_image_files, image_files

Size = tuple[int, int]


class DrawnObject(NamedTuple):
    """An object of an image.

    Args:
        label: Its class.
        fields: Its `bbox`, `segmentation` or `keypoints` of the image's (height, width); a ValueError says what is
            wrong with it.
        crowd: Whether it is one.
    """

    label: str
    fields: Callable[[Size], dict[str, Any]]
    crowd: bool = False


class DrawnImage(NamedTuple):
    """An image and its objects.

    Args:
        where: The file or record that describes it, for messages.
        name: Of its file.
        size: (height, width) if it is known.
        objects: What is drawn in it.
    """

    where: str
    name: str
    size: Size | None
    objects: list[DrawnObject]


def gather(source: Path, images: Iterable[DrawnImage], names: Sequence[str], folders: Sequence[Path]) -> Contents:
    """The images in COCO's terms, whose objects that cannot be used are listed as `skipped`.

    Args:
        source: The file or folder that was read, for messages.
        images: What it describes.
        names: Of the classes.
        folders: Where the files of the images may lie.
    """
    found = ContentsBuilder(names, source, folders[0])
    for image in images:
        path = find_image(image.name, folders)
        size = image.size or found.size_of(path)
        image_id = found.add_image(path, size, named_by=image.where)
        for number, one in enumerate(image.objects, start=1):
            with found.skipping(f"{image.where}: object {number} ({one.label})"):
                found.add_object(image_id, one.label, crowd=one.crowd, **one.fields(size))
    return found.contents()


def gather_files(
    path: Path,
    split: str,
    images: Path | None,
    *,
    tool: str,
    is_file: IsFile,
    load: Callable[[Path], DrawnImage],
    listed: Callable[[Path], list[str]] = lambda folder: [],
) -> Contents:
    """A split of a tool that writes one JSON file per image.

    Args:
        path, split, images: As for the reader of a format; without `images` they lie beside the files, in `images/`
            there or above, or above.
        tool: Its name, for messages.
        is_file: Whether a file is of the tool, by its first bytes.
        load: Reads one.
        listed: Names of classes that a folder lists; then come those that objects of any split have.

    Raises:
        DataError: There is no file.
    """
    files = image_files(path, split, ".json", is_file)
    if not files:
        raise DataError(f"{path}: holds no JSON file of {tool} for the split `{split}`. Check the folder.")
    own = [load(file) for file in files]
    others = [load(file) for file in all_image_files(path, ".json", is_file) if file not in files]
    near = files[0].parent
    names = dict.fromkeys([*listed(near), *used_labels([*own, *others], path)])
    folders = [images] if images else [near, near / "images", near.parent / "images", near.parent]
    return gather(path, own, [*names], folders)


def with_ending(name: str, folders: Sequence[Path]) -> str:
    """The name of an image, with the ending of a file that is there if it is named without."""
    named = (name, *(f"{name}{ending}" for ending in IMAGES))
    return next((one for one in named if any((folder / one).is_file() for folder in folders)), name)


def used_labels(images: Iterable[DrawnImage], source: Path) -> list[str]:
    """The labels of all objects, sorted.

    Raises:
        DataError: There are none.
    """
    labels = sorted({one.label for image in images for one in image.objects})
    if not labels:
        raise DataError(f"{source}: no object has a class, so there is nothing to learn. Annotate some.")
    return labels


def member(content: Any, key: str, kind: type, where: str) -> Any:
    """What a JSON object has under a key.

    Raises:
        DataError: It is no object, or has something else there.
    """
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, kind):
        what = "an object" if kind is dict else "a list" if kind is list else "a text"
        raise DataError(f"{where}: `{key}` must be {what}, but is {found!r:.40}. Export it again.")
    return found


def numbers(record: Any, *names: str) -> list[float]:
    """Finite numbers of a JSON object; a ValueError says which is none."""
    for name in names:
        value = record.get(name) if isinstance(record, dict) else None
        if not is_number(value):
            raise ValueError(f"`{name}` is {value!r:.40}, but must be a finite number")
    return [float(record[name]) for name in names]


def corners(points: Any) -> list[float]:
    """x, y, x, y, ... of a list of points, as pairs or as objects with `x` and `y`; a ValueError says what is wrong."""
    if not isinstance(points, list) or not points:
        raise ValueError(f"its points are {points!r:.40}, but must be a list of x and y")
    pairs = [numbers(one, "x", "y") if isinstance(one, dict) else one for one in points]
    wrong = next((one for one in pairs if not isinstance(one, list) or len(one) != 2), None)
    if wrong is not None or not all(is_number(value) for one in pairs for value in one):
        raise ValueError(f"its points must be pairs of finite numbers x and y, but are {points!r:.60}")
    return [float(value) for one in pairs for value in one]


def box_between(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """x, y, width, height of the box between two corners in any order."""
    return [min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)]
