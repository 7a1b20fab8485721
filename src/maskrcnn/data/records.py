"""What a reader returns: pictures with their annotated objects."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..errors import DataError
from ..structures.classes import Classes
from ..structures.instances import Instances
from .segments import SegmentFile


@dataclass(frozen=True, eq=False)
class Record:
    """One annotated picture, not read yet.

    Args:
        path: Its file.
        image_id: The data set's id of it.
        size: (height, width) of it, after its EXIF orientation is applied.
        fields: Whatever else its record says, e.g. `{"modality": "fluorescence"}`.
        instances: Annotated objects in the picture's own pixels, masks as `ObjectMasks`.
        segments: Where the classes of its pixels are, if they are annotated.
        proposals: Boxes [N, 4] in its pixels that take the place of the network's own proposals, the best first.
    """

    path: Path
    image_id: int
    size: tuple[int, int]
    fields: dict[str, Any]
    instances: Instances
    segments: SegmentFile | None = None
    proposals: Tensor | None = None


class Contents(NamedTuple):
    """A data set of any format said in COCO's terms, nothing of it checked yet.

    Args:
        source: The file or folder it was read from, for messages.
        images: Folder that the pictures' file names start from.
        coco: `images`, `categories` and `annotations`, as in a COCO file.
        skipped: One message per object that the format's reader had to leave out.
    """

    source: Path
    images: Path
    coco: dict[str, Any]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CocoData:
    """A data set, whatever its format.

    Args:
        source: The annotation file or folder, for messages.
        records: One per picture, in the order of the file.
        classes: Labels, names and category ids.
        contents: Reads once more what it was made from, in COCO's terms: kept on disk, because it can be large.
        skipped: One message per object that was left out because it is invalid.
        skipped_places: Where these objects stand in the file's `annotations`, counted from 0.
        without_mask: How many objects had no outline; their box stands in for it.
        images: Folder that the pictures' file names in `contents` start from.
    """

    source: Path
    records: list[Record]
    classes: Classes
    contents: Callable[[], dict[str, Any]]
    skipped: list[str] = field(default_factory=list)
    skipped_places: frozenset[int] = frozenset()
    without_mask: int = 0
    images: Path = Path()


def require_objects(data: CocoData) -> None:
    """Refuse to train on a data set without a single object that counts; evaluation and prediction accept it.

    Raises:
        DataError: No picture has an object, or all objects are crowds.
    """
    if not any(has_objects(record) for record in data.records):
        raise DataError(
            f"{data.source}: none of the {len(data.records)} pictures has an object (crowds do not count), so there is "
            f"nothing to learn. Check its `annotations`{' and the objects that were skipped' if data.skipped else ''}."
        )


def common_folder(records: list[Record]) -> Path:
    """The folder that all pictures lie in, or below; that of this process if there are none."""
    return Path(os.path.commonpath([record.path.absolute().parent for record in records])) if records else Path.cwd()


def has_objects(record: Record) -> bool:
    """Whether a picture has an object that training learns from: one that is no crowd."""
    crowd = record.instances.crowd
    return len(record.instances) > 0 and (crowd is None or not bool(crowd.all()))
