"""What readers share: images in folders, files of text and JSON, and a dataset gathered in COCO's terms."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ...errors import DataError, MaskRCNNError
from ...ops.files import require_regular
from ..confinement import folders_of, require_inside
from ..dataset import Contents
from ..images import IMAGES, image_size
from ..pixel_limit import require_pixels

T = TypeVar("T")

SNIFFED = 2**16
"""Bytes of a file by which its format is recognized."""

NAMED = 5
"""How many names a message lists."""


def _is_one_split(path: Path, split: str) -> bool:
    return False


class Format(NamedTuple):
    """A format of datasets, as a reader's module ends with it.

    Args:
        name: Its name on the command line.
        title: Its name for people.
        layout: The files that belong to it, one line.
        found: Whether a path holds a split of it, by names and the first bytes of a file only. A folder without
            splits is the split "train"; a file is any split, unless it is `parted`.
        read: Contents of a split (path, split, folder of the images or None).
        parted: Whether a file holds a split beside others; most files are one split.
    """

    name: str
    title: str
    layout: str
    found: Callable[[Path, str], bool]
    read: Callable[[Path, str, Path | None], Contents]
    parted: Callable[[Path, str], bool] = _is_one_split


class ContentsBuilder:
    """Images, classes and objects in COCO's terms, in the order they are added.

    Category ids are 1..K in the order of the names, image and annotation ids count from 1.

    Args:
        names: Of the classes, all different.
        source: The file or folder, for messages.
        images: Folder that the images' file names start from.
        described: Further entries of categories by their names, such as `keypoints`.
    """

    def __init__(
        self, names: Sequence[str], source: Path, images: Path, described: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.source, self.images = source, images
        self.category_ids = {name: number for number, name in enumerate(names, start=1)}
        self.skipped: list[str] = []
        more = described or {}
        self._categories = [
            {"id": number, "name": name, **more.get(name, {})} for name, number in self.category_ids.items()
        ]
        self._images: dict[str, dict[str, Any]] = {}
        self._annotations: list[dict[str, Any]] = []

    def size_of(self, path: Path) -> tuple[int, int]:
        """(height, width) of an image's file, which is opened only if it is the dataset's own.

        Raises:
            DataError: It lies outside of the dataset, or is no image.
        """
        require_inside(self.source, folders_of(self.source, self.images), [path])
        return image_size(path)

    def add_image(self, path: Path, size: tuple[int, int], named_by: str = "") -> int:
        """Add an image of `size` (height, width), and get its id.

        Args:
            path: Its file.
            size: (height, width).
            named_by: The file or record that names it, for the message about an image that was added before.

        Raises:
            DataError: It was added before, or is too large.
        """
        require_pixels(path, size)
        name = os.path.relpath(path, self.images)
        if name in self._images:
            raise DataError(
                f"{named_by or self.source}: the image {name} is named a second time. Join its annotations, or take "
                "one of them out."
            )
        number = len(self._images) + 1
        self._images[name] = {"id": number, "file_name": name, "height": size[0], "width": size[1]}
        return number

    def add_object(self, image_id: int, name: str, *, crowd: bool = False, **fields: Any) -> None:
        """Add an object of the class `name`; `fields` are COCO's `bbox`, `segmentation` and `keypoints`.

        Raises:
            ValueError: There is no such class.
        """
        if name not in self.category_ids:
            raise ValueError(f"the class {name!r} is not one of {list_some([*self.category_ids])}")
        number, category = len(self._annotations) + 1, self.category_ids[name]
        place = {"id": number, "image_id": image_id, "category_id": category, "iscrowd": int(crowd)}
        self._annotations.append({**place, **fields})

    @contextmanager
    def skipping(self, where: str) -> Iterator[None]:
        """Leave an object out that breaks a rule: the `ValueError` raised inside is listed in `skipped`."""
        try:
            yield
        except ValueError as error:
            self.skipped.append(f"{where}: {error}")

    def contents(self) -> Contents:
        """All that was added."""
        images = list(self._images.values())
        coco = {"images": images, "categories": self._categories, "annotations": self._annotations}
        return Contents(self.source, self.images, coco, tuple(self.skipped))


def group_shapes(shapes: Iterable[tuple[str, object, T]]) -> Iterator[tuple[int, str, list[T]]]:
    """Shapes of one label and group together, in the order of the first of each.

    Args:
        shapes: Label, group and shape of each; a group of None is the shape alone.

    Yields:
        The place of the first shape, counted from 0, the label, and the shapes.
    """
    groups: dict[object, tuple[int, str, list[T]]] = {}
    for place, (label, group, shape) in enumerate(shapes):
        key = place if group is None else (label, str(group))
        groups.setdefault(key, (place, label, []))[2].append(shape)
    yield from groups.values()


def list_images(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, sorted; hidden ones are left out."""
    found = [
        Path(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGES) and not name.startswith(".")
    ]
    return sorted(found)


def files_by_name(files: Iterable[Path], endings: tuple[str, ...] = ()) -> dict[str, Path]:
    """Files by their names without suffix, and without the first of some endings that they have.

    Raises:
        DataError: Two have the same name.
    """
    found: dict[str, Path] = {}
    for file in files:
        ending = next((ending for ending in endings if file.stem.endswith(ending)), "")
        name = file.stem.removesuffix(ending)
        if name in found:
            raise DataError(
                f"{file}: {found[name].name} is of the same name, but each image has one file. Take one of them out."
            )
        found[name] = file
    return found


def require_partners(
    place: Path, images: Mapping[str, object], partners: Mapping[str, object], what: str, remedy: str
) -> None:
    """Refuse a dataset some of whose images lack the file of their annotations.

    Args:
        place: Where the files should be, for the message.
        images, partners: By their common names.
        what: Which file it is.
        remedy: The sentence that ends the message.

    Raises:
        DataError: Naming some of the images.
    """
    missing = sorted(images.keys() - partners.keys())
    if missing:
        named = list_some([images[name] for name in missing])
        raise DataError(f"{place}: {len(missing)} of {len(images)} images have no {what}: {named}. {remedy}")


def list_some(names: Sequence[object]) -> str:
    """The first few of many names, for messages."""
    return ", ".join(str(name) for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def find_image(name: str, folders: Iterable[Path]) -> Path:
    """The first file of this name in some folders; if it is in none, where it should be in the first of them.

    Windows' separators in the name are understood; a name with folders is also looked for without them.
    """
    parts = Path(name.replace("\\", "/"))
    places = [folder / part for part in dict.fromkeys((parts, Path(parts.name))) for folder in folders]
    return next((place for place in places if place.is_file()), places[0])


def other_spelling(folder: Path, name: str) -> Path | None:
    """The only file whose name differs in separators and case alone."""
    place = folder
    for part in name.replace("\\", "/").split("/"):
        if not (place / part).exists():
            there = os.listdir(place) if place.is_dir() else []
            alike = [one for one in there if one.casefold() == part.casefold()]
            if len(alike) != 1:
                return None
            part = alike[0]
        place = place / part
    return place if place.is_file() else None


@contextmanager
def explaining(source: Path) -> Iterator[None]:
    """Turn what nobody foresaw in others' files, of any shape, into an error that names the file.

    Raises:
        DataError: In place of any other error.
    """
    try:
        yield
    except (MaskRCNNError, MemoryError):
        raise
    except Exception as error:
        raise DataError(
            f"{source}: cannot be read; something in it is not as its format has it ({type(error).__name__}: "
            f"{error!s:.200}). Export it again, or correct it."
        ) from error


def first_bytes(path: Path) -> bytes:
    """The beginning of a file; nothing if it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(SNIFFED)
    except (OSError, ValueError):
        return b""


def read_xml(path: Path, kind: str) -> Element:
    """The root of an XML file; arguments and errors as for `read_text`."""
    require_regular(path)
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        raise DataError(f"{path}: cannot be read as {kind} ({error}). Copy or export it again.") from error


def read_text(path: Path | zipfile.Path, kind: str) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        kind: What it should be, for messages.

    Raises:
        DataError: It cannot be read, or is no text.
    """
    if isinstance(path, Path):
        require_regular(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the file cannot be read as {kind} ({error}). Give the file of the export.") from error
