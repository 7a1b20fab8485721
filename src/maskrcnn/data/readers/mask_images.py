"""Datasets of drawn masks: a label map per image (`images/` beside `masks/`, or both side by side), or a mask file per
object, as the Data Science Bowl 2018 has them (nuclei)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...ops.files import read_json
from ..dataset import Contents
from .contents import ContentsBuilder, Format, files_by_name, list_images, require_partners
from .label_maps import ENDINGS, map_objects, map_parts, mask_object, read_label_map, read_mask

SPLITS = {
    "train": ("train", "training", "stage1_train"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing", "test_same", "test_diff", "stage1_test"),
}
"""Folders of each split; all that are there are joined."""
ALL = tuple(name for names in SPLITS.values() for name in names)
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "images")
MAP_FOLDERS = ("masks", "mask", "labels", "label_maps", "instance_maps", "gt")
MAP_NAMES = ("_mask", "_masks", "_label", "_labels", "_gt", "_instances")
"""What the name of a label map may have after the image's; of one beside the image it must."""
IMAGE_NAMES = ("_rgb", "_image", "_img")
"""What the name of an image may have that its label map has not."""
DRAWINGS = ("_poly",)
"""Images beside others that only show what is annotated."""
CLASSES = "classes.json"
OR_NOT = "there is no object), or take the images out."
LAYOUT = "images/NAME.png, masks/NAME.png (or .tif, .npy, .mat; or NAME_mask.png beside NAME.png)"


class MaskedImage(NamedTuple):
    """An image and the files its objects are drawn in.

    Args:
        image: Its file, or where it should be.
        masks: Its label map, or the mask file of each object.
    """

    image: Path
    masks: tuple[Path, ...]


def has_label_maps(path: Path, split: str) -> bool:
    """Whether a folder holds a split with a label map per image."""
    return path.is_dir() and any(_map_files(maps, beside=maps == images) for images, maps in _places(path, split))


def is_parted(path: Path) -> bool:
    """Whether a folder, or its folder of images or of label maps, has folders of splits."""
    folders = {path, *(folder for pair in _sides(path) for folder in pair)}
    return any((folder / name).is_dir() for folder in folders for name in ALL)


def find_label_maps(path: Path, split: str, images: Path | None = None) -> list[MaskedImage]:
    """The images of a split with their label maps, in the order of the images' names.

    Where no image is there at all, the label maps say which there are.

    Args:
        path: Folder with `images/` and `masks/`, with a folder of these for each split, or the other way round.
        split: "train", "val" or "test"; a folder without splits is "train".
        images: Folder of the images, if it is elsewhere.

    Raises:
        DataError: There are none, an image has no label map, or two have the same name.
    """
    found: list[MaskedImage] = []
    for folder, maps in _places(path, split):
        shared = folder == maps
        known = files_by_name(
            file
            for file in list_images(images or folder)
            if not (shared and file.stem.endswith((*MAP_NAMES, *DRAWINGS)))
        )
        drawn = list_maps(maps, beside=shared)
        if not known.keys() & drawn.keys():
            known = files_by_name(known.values(), IMAGE_NAMES)
        require_partners(maps, known, drawn, "label map there", f"Add them (all black if {OR_NOT}")
        names = known if known and (shared or _is_common(path, maps)) else known | dict.fromkeys(drawn)
        expected = images or folder
        found += [MaskedImage(known.get(name) or expected / f"{name}.png", (drawn[name],)) for name in sorted(names)]
    if not found:
        raise DataError(f"{path}: no images with label maps of the split `{split}` were found: {LAYOUT}.")
    return found


def read_label_maps(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split with a label map per image.

    Each value of a map is an object of the class `object`; see `map_objects`. With a file `classes.json` such as
    {"1": "cell", "2": "vessel", "255": null} each value is a class, and its parts that hang together are the objects;
    null is for what does not count.

    Args:
        path, split, images: As for `find_label_maps`.

    Raises:
        DataError: As `find_label_maps` and `read_label_map`; a map and its image are of different sizes; a value has
            no class.
    """
    pairs = find_label_maps(path, split, images)
    return gather_label_maps(pairs, path, images or path, classes=read_value_names(path))


def gather_label_maps(
    pairs: Sequence[MaskedImage],
    source: Path,
    images: Path,
    *,
    class_name: str = "object",
    classes: dict[int, str | None] | None = None,
) -> Contents:
    """The objects of label maps in COCO's terms.

    Args:
        images: With a label map each; where an image is there, its size is compared.
        source: For messages.
        images: Folder that the images' file names start from.
        class_name: The class of all objects, if values are objects.
        classes: The class of each value, None for those that do not count; None: values are objects.
    """
    known = [class_name] if classes is None else [each for each in dict.fromkeys(classes.values()) if each is not None]
    found = ContentsBuilder(known, source, images)
    for image, (file,) in pairs:
        values = read_label_map(file)
        if image.is_file():
            require_size(file, values, image, found.size_of(image))
        image_id = found.add_image(image, (values.shape[0], values.shape[1]), str(file))
        for value, fields in map_objects(values) if classes is None else map_parts(values):
            own = class_name if classes is None else _class_of(value, classes, file)
            if own is not None:
                found.add_object(image_id, own, **fields)
    return found.contents()


def list_maps(folder: Path, *, beside: bool = False) -> dict[str, Path]:
    """Label maps of a folder and the folders in it by the names of their images.

    Args:
        folder: Of the maps.
        beside: The images are in it, too: only names with an ending of `MAP_NAMES` are maps.

    Raises:
        DataError: Two are for the same image.
    """
    return files_by_name(_map_files(folder, beside=beside), MAP_NAMES)


def _map_files(folder: Path, *, beside: bool) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in ENDINGS
        and not file.name.startswith(".")
        and (file.stem.endswith(MAP_NAMES) or not (beside or file.suffix.lower() == ".txt"))
    )


def _places(path: Path, split: str) -> list[tuple[Path, Path]]:
    """The folders of images and of label maps of a split."""
    names = SPLITS.get(split, (split,))
    inside = [place for name in names for place in _sides(path / name)]
    if inside:
        return inside
    whole = _sides(path)
    parted = [
        (images / name, maps / name if (maps / name).is_dir() else maps)
        for images, maps in whole
        for name in names
        if (images / name).is_dir() or (maps / name).is_dir()
    ]
    return whole if split == "train" and not parted and not is_parted(path) else parted


def _sides(base: Path) -> list[tuple[Path, Path]]:
    """The folders of images and of label maps in a folder, or the folder itself if it holds both side by side."""
    if not base.is_dir():
        return []
    folders = {child.name.lower(): child for child in sorted(base.iterdir()) if child.is_dir()}
    maps = next((folders[name] for name in MAP_FOLDERS if name in folders), None)
    images = next((folders[name] for name in IMAGE_FOLDERS if name in folders), base / IMAGE_FOLDERS[0])
    if maps is not None:
        return [(images, maps)]
    beside = any(file.stem.endswith(MAP_NAMES) and file.suffix.lower() in ENDINGS for file in base.iterdir())
    return [(base, base)] if beside else []


def _is_common(path: Path, maps: Path) -> bool:
    """Whether a folder of label maps serves all splits of a dataset whose images are divided."""
    return maps.parent == path and any((images / name).is_dir() for images, _ in _sides(path) for name in ALL)


def require_size(file: Path, mask: np.ndarray, image: Path, size: tuple[int, int]) -> None:
    """Refuse a mask of another size than its image.

    Args:
        file: Of the mask.
        mask: [H, W].
        image, size: The image and its (height, width).

    Raises:
        DataError: Naming both.
    """
    if mask.shape != size:
        raise DataError(
            f"{file}: the mask is {mask.shape[1]} px wide and {mask.shape[0]} px high, but its image {image.name} "
            f"is {size[1]} x {size[0]}. Both must be of one size; export the mask again."
        )


def read_value_names(path: Path) -> dict[int, str | None] | None:
    """The class of each value as `classes.json` has it, None for what does not count; None: there is no such file."""
    file = path / CLASSES
    if not file.is_file():
        return None
    known: Any = read_json(file, expected="the classes of values")
    if not isinstance(known, dict) or not all(
        value.isdigit() and int(value) > 0 and isinstance(name, str | None) for value, name in known.items()
    ):
        raise DataError(f'{file}: must be an object such as {{"1": "cell", "2": "vessel", "255": null}}. Correct it.')
    if not any(known.values()):
        raise DataError(f"{file}: names no class, but objects need one. Name at least one value.")
    return {int(value): name for value, name in known.items()}


def _class_of(value: int, names: dict[int, str | None], file: Path) -> str | None:
    if value not in names:
        known = ", ".join(map(str, sorted(names)))
        raise DataError(f"{file}: holds the value {value}, but {CLASSES} has only {known}. Add it there (null: none).")
    return names[value]


FOLDERS_LAYOUT = "NAME/images/NAME.png, NAME/masks/*.png; or images/NAME.png, masks/NAME/*.png"


def has_mask_folders(path: Path, split: str) -> bool:
    """Whether a folder holds a split with a mask file per object, and images that they belong to."""
    try:
        return path.is_dir() and any(pair.image.is_file() and pair.masks for pair in _folders(path, split))
    except DataError:
        return False  # another format's folders may have the same names


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
    pairs = sorted(_folders(path, split, images))
    if not pairs:
        raise DataError(f"{path}: no images with a mask file per object of the split `{split}`: {FOLDERS_LAYOUT}.")
    return pairs


def gather_mask_folders(
    pairs: Sequence[MaskedImage], source: Path, images: Path, class_name: str = "object"
) -> Contents:
    """The objects of mask files in COCO's terms, of the class `class_name`; see `read_mask_folders`."""
    found = ContentsBuilder([class_name], source, images)
    for image, masks in pairs:
        size = found.size_of(image) if image.is_file() or not masks else _size(read_mask(masks[0]))
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
    require_partners(base / "masks", images, masks, "folder of masks there", f"Add them (empty if {OR_NOT}")
    for name, folder in masks.items():
        yield MaskedImage(images.get(name, base / "images" / f"{name}.png"), _mask_files(folder))


def _mask_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."))


MASK_FOLDERS = Format("mask-folders", "masks of each object", FOLDERS_LAYOUT, has_mask_folders, read_mask_folders)


LABEL_MAPS = Format("label-maps", "label maps", LAYOUT, has_label_maps, read_label_maps)
