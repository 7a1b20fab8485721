"""The images of a dataset lie in its own folders: a file of somebody else may name any file of the machine."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import DataError

VARIABLE = "MASKRCNN_ALLOW_OUTSIDE"
"""Set, files outside are read, too; the command line has an option that sets it."""


def allows_outside() -> bool:
    """Whether the user allows images outside of a dataset's folders."""
    return bool(os.environ.get(VARIABLE))


def folders_of(source: Path, images: Path) -> tuple[Path, ...]:
    """The folders of a dataset.

    Args:
        source: Its file, or folder.
        images: Folder that the images' file names start from.
    """
    own = source if source.is_dir() else source.parent
    return images, own, own.parent / "images"


def require_inside(source: Path, folders: Iterable[Path], paths: Iterable[Path]) -> None:
    """Refuse images outside of some folders, whether they are named by `..`, from the root, or by a link.

    Args:
        source: The annotation file, for the message.
        folders: Of the dataset.
        paths: Of its images.

    Raises:
        DataError: Naming the first that is outside.
    """
    if allows_outside():
        return
    roots = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
    parents: dict[Path, str] = {}
    for path in paths:
        if path.parent not in parents:  # one look at the disk for each folder
            parents[path.parent] = os.path.realpath(path.parent)
        place = os.path.realpath(path) if path.is_symlink() else os.path.join(parents[path.parent], path.name)
        if not place.startswith(roots):
            raise DataError(
                f"{source}: the image {path} lies at {place}, outside of the dataset. If you trust the file, give the "
                "folder of its images (images=, --images), or allow it "
                f"({VARIABLE}=1 in the environment, --allow-outside)."
            )
