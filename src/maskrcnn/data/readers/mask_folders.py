"""Datasets with a mask file per object, as the Data Science Bowl 2018 has them (nuclei)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..dataset import Contents
from ..images import image_size
from .coco_images import NAMED
from .gathering import Format, Gathering, list_images
from .label_maps import ENDINGS, mask_object, read_mask
from .mask_images import ALL, SPLITS, MaskedImage, files_by_name, require_size

LAYOUT = "NAME/images/NAME.png, NAME/masks/*.png; or images/NAME.png, masks/NAME/*.png"


def has_mask_folders(path: Path, split: str) -> bool:
    """Whether a folder holds a split with a mask file per object."""
    return path.is_dir() and any(True for _ in _folders(path, split))


def read_mask_folders(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split with a mask file per object, as the Data Science Bowl 2018 has it.

    Whatever is not black in a file belongs to its object. Masks may overlap. An image whose folder of masks is empty
    has no object; a mask without a pixel is left out, and listed in `skipped`.

    Args:
        path: Folder of the images' folders, or of the splits' (`stage1_train`).
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images, if they are elsewhere.

    Raises:
        DataError: There are none; an image or its folder of masks is missing; a mask cannot be read or is of another
            size than its image.
    """
    return gather_mask_folders(find_mask_folders(path, split, images), path, images or path)


def find_mask_folders(path: Path, split: str, images: Path | None = None) -> list[MaskedImage]:
    """The images of a split with their mask files, by name; arguments and errors as for `read_mask_folders`."""
    found_images = sorted(_folders(path, split, images))
    if not found_images:
        raise DataError(f"{path}: no images with a mask file per object of the split `{split}`: {LAYOUT}.")
    return found_images


def gather_mask_folders(
    found_images: Sequence[MaskedImage], source: Path, images: Path, class_name: str = "object"
) -> Contents:
    """The objects of mask files in COCO's terms, of the class `class_name`; see `read_mask_folders`."""
    found = Gathering([class_name], source, images)
    for image, masks in found_images:
        size = image_size(image) if image.is_file() or not masks else _size(read_mask(masks[0]))
        image_id = found.add_image(image, size)
        for file in masks:
            mask = read_mask(file)
            require_size(file, mask, image, size)
            fields = mask_object(mask)
            if fields is None:
                found.skipped.append(f"{file}: the mask has no pixel, but an object needs at least one")
            else:
                found.add_object(image_id, class_name, **fields)
    return found.contents()


def _size(mask: np.ndarray) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]


def _folders(path: Path, split: str, images: Path | None = None) -> Iterator[MaskedImage]:
    names = SPLITS.get(split, (split,))
    bases = [path / name for name in names if (path / name).is_dir()]
    if not bases and split == "train" and not any((path / name).is_dir() for name in ALL):
        bases = [path]
    elsewhere = files_by_name(list_images(images)) if images is not None else None
    for base in bases:
        children = [child for child in sorted(base.iterdir()) if child.is_dir()]
        if any((child / "masks").is_dir() for child in children):
            yield from _own_folders(children, elsewhere)
        elif (base / "masks").is_dir():
            yield from _joint_folders(base, elsewhere)


def _own_folders(children: Sequence[Path], elsewhere: dict[str, Path] | None) -> Iterator[MaskedImage]:
    """Each image in a folder with its masks."""
    for child in children:
        own = list_images(child / "images")
        if not (child / "masks").is_dir():
            if own:
                raise DataError(
                    f"{child}: has no folder `masks`. Add it (empty if there is no object), or take the image out."
                )
            continue
        if len(own) > 1:
            raise DataError(f"{child / 'images'}: holds {len(own)} images, but must hold one. Take the others out.")
        image = own[0] if own else child / "images" / f"{child.name}.png"
        yield MaskedImage((elsewhere or {}).get(child.name, image), _mask_files(child / "masks"))


def _joint_folders(base: Path, elsewhere: dict[str, Path] | None) -> Iterator[MaskedImage]:
    """All images in one folder, and the masks of each in one of its own."""
    images = files_by_name(list_images(base / "images")) if elsewhere is None else elsewhere
    masks = {child.name: child for child in sorted((base / "masks").iterdir()) if child.is_dir()}
    if not images.keys() & masks.keys():
        return
    missing = sorted(images.keys() - masks.keys())
    if missing:
        raise DataError(
            f"{base / 'masks'}: {len(missing)} of {len(images)} images have no folder of masks there: "
            f"{', '.join(missing[:NAMED])}{', ...' if len(missing) > NAMED else ''}. Add them (empty if there is no "
            "object), or take the images out."
        )
    for name, folder in masks.items():
        yield MaskedImage(images.get(name, base / "images" / f"{name}.png"), _mask_files(folder))


def _mask_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."))


FORMAT = Format("mask-folders", "masks of each object", LAYOUT, has_mask_folders, read_mask_folders)
