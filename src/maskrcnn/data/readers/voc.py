"""Pascal VOC (http://host.robots.ox.ac.uk/pascal/VOC): an XML file of boxes for each image, label maps for some.

Coordinates are whole pixels counted from 1, and the last one belongs to the box: `xmin` 1 and `xmax` 10 are 10 pixels
from the image's edge. Objects that are `difficult` need not be found: they become crowds.

`SegmentationObject/` holds for some images which object each pixel belongs to (its place in the XML file, from 1),
`SegmentationClass/` which class; 255 is the border between objects, and belongs to none. Files with the colors of
VOC's palette instead of its places, as CVAT writes them, are understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from ...errors import DataError
from ...structures.regions import Region, find_regions
from ..confinement import require_inside
from ..dataset import Contents
from ..opening import open_image
from .coco_folders import SPLITS, split_names
from .contents import IMAGES, ContentsBuilder, Format, find_image, first_bytes, read_text, read_xml
from .label_maps import read_label_map
from .matlab import read_matlab

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Of the challenges from 2007 to 2012, in the order of the values in `SegmentationClass/`, from 1."""
OBJECTS, LABELS = "SegmentationObject", "SegmentationClass"
BORDER = 255
SBD_LAYOUT = "dataset/ with img/, inst/ and val.txt"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Segment(NamedTuple):
    """One object of a label map.

    Args:
        value: Its place in the XML file, from 1.
        name: Of its class; None: not known.
        region: Its pixels.
    """

    value: int
    name: str | None
    region: Region


def is_voc(path: Path, split: str) -> bool:
    """Whether a path is an XML file of Pascal VOC, or a folder with some for a split."""
    return any(_is_file(file) for file in _files(path, split)[:1])


def read_voc(path: Path, split: str = "train", images: Path | None = None) -> Contents:
    """Read a split of a dataset in the format of Pascal VOC.

    The classes are VOC's own if it has no others, otherwise those of all splits, sorted.

    Args:
        path: Folder with `Annotations/`, `JPEGImages/` and `ImageSets/Main/train.txt`, or `VOCdevkit/`, which holds
            it; or one with `train/`, `val/` and so on that hold XML files, or with XML files. Or one XML file.
        split: "train", "val", "test", or another that a file of `ImageSets/` is named after; a folder without splits
            is "train".
        images: Folder of the images; None: `JPEGImages/`, `images/` or beside the XML files.

    Raises:
        DataError: There is no such split, or a file cannot be read.
    """
    files = _files(path, split)
    if not files:
        raise DataError(
            f"{path}: holds no XML files of Pascal VOC for the split `{split}`; looked for ImageSets/Main/{split}.txt "
            f"beside Annotations/, and for {split}/*.xml. Name the files so."
        )
    everything = {file for each in {*SPLITS, split} for file in _files(path, each)}
    names = {name for file in sorted(everything) for name in _names(_parse(file))}
    known = CLASSES if names <= set(CLASSES) else sorted(names)
    return _gather(files, known, path, images)


def read_voc_images(root: Path, stems: Sequence[str]) -> Contents:
    """Read the boxes of some images of a challenge with its 20 classes.

    Args:
        root: Such as `VOCdevkit/VOC2012`, with `Annotations/` and `JPEGImages/`.
        stems: Names of the images, such as "2007_000027".

    Raises:
        DataError: A file is missing or cannot be read.
    """
    return _gather([root / "Annotations" / f"{stem}.xml" for stem in stems], CLASSES, root, None, masks=False)


def list_voc_set(root: Path, kind: str, split: str) -> list[str] | None:
    """Names of the images in `ImageSets/<kind>/<split>.txt`, sorted; None: there is no such file.

    A name may hold spaces. In the lists of one class, a number follows each name: whether the image has the class.
    """
    file = root / "ImageSets" / kind / f"{split}.txt"
    if not file.is_file():
        return None
    lines = {line.strip() for line in read_text(file, "a list of images").splitlines() if line.strip()}
    annotations = root / "Annotations"
    require_inside(file, (root, annotations), (annotations / f"{line}.xml" for line in lines))
    whole = {line for line in lines if (root / "Annotations" / f"{line}.xml").is_file()}
    return sorted(whole | {re.sub(r"\s+-?[01]$", "", line) for line in lines - whole})


def has_segments(root: Path, stem: str) -> bool:
    """Whether an image has label maps of objects and classes."""
    return all((root / folder / f"{stem}.png").is_file() for folder in (OBJECTS, LABELS))


def read_segments(root: Path, stem: str) -> list[Segment]:
    """The objects of an image's label maps, by ascending value.

    Raises:
        DataError: A label map is missing, or the two do not fit together.
    """
    objects, classes = (_read_places(root / folder / f"{stem}.png") for folder in (OBJECTS, LABELS))
    if objects.shape != classes.shape:
        raise DataError(
            f"{root / OBJECTS / stem}.png: is of size {list(objects.shape)} (height, width), but the one in {LABELS} "
            f"of {list(classes.shape)}. Copy both again."
        )
    found = []
    for region in _regions(objects):
        column, row = divmod(int(region.runs[0, 0]), region.size[0])
        number = int(classes[row, column])
        if not 1 <= number <= len(CLASSES):
            raise DataError(
                f"{root / LABELS / stem}.png: object {region.value} has the class {number}, but classes are 1 to "
                f"{len(CLASSES)}. Copy the file again."
            )
        found.append(Segment(region.value, CLASSES[number - 1], region))
    return found


def _segments(root: Path, stem: str, *, official: bool) -> dict[int, Segment]:
    """The objects of an image's label maps by their places, none if it has no maps; classes of VOC only are known."""
    if official:
        return {one.value: one for one in read_segments(root, stem)} if has_segments(root, stem) else {}
    file = root / OBJECTS / f"{stem}.png"
    regions = _regions(_read_places(file)) if file.is_file() else []
    return {region.value: Segment(region.value, None, region) for region in regions}


def _regions(objects: np.ndarray) -> list[Region]:
    return [region for region in find_regions(objects) if region.value not in (0, BORDER)]


def _read_places(file: Path) -> np.ndarray:
    """[H, W] places in VOC's palette, whose colors hold their bits: red 0, 3, 6, green 1, 4, 7 and blue 2, 5."""
    values = read_label_map(file)
    with open_image(file) as image:
        if image.mode not in ("RGB", "RGBA"):
            return values
    places = np.zeros_like(values)
    for bit in range(3):
        for channel in range(3):
            places |= (values >> (8 * channel + 7 - bit) & 1) << (3 * bit + channel)
    return places & BORDER


def _files(path: Path, split: str) -> list[Path]:
    """The XML files of a split."""
    if path.is_file():
        return [path] if _is_file(path) else []
    names = split_names(split)
    for root in (path, *sorted(path.glob("VOC2*"), reverse=True)):
        for kind in ("Main", "Segmentation"):
            for name in names:
                stems = list_voc_set(root, kind, name)
                if stems is not None:
                    return [root / "Annotations" / f"{stem}.xml" for stem in stems]
    folders = [path / name for name in names] + ([path] if split == "train" else [])
    found = (sorted(place.glob("*.xml")) for folder in folders for place in _places(folder, "Annotations"))
    return next((files for files in found if files), [])


def _places(folder: Path, inside: str) -> tuple[Path, ...]:
    return folder, folder / inside, folder / inside.lower()


def _is_file(path: Path) -> bool:
    begin = first_bytes(path) if path.suffix == ".xml" else b""
    return b"<annotation>" in begin or b"<annotation " in begin


def _gather(
    files: Sequence[Path], names: Sequence[str], source: Path, images: Path | None, *, masks: bool = True
) -> Contents:
    found = ContentsBuilder(names, source, images or _image_folder(files[0]))
    for file in files:
        tree = _parse(file)
        image = _image(file, tree, found.images)
        image_id = found.add_image(image, _size(file, tree) or found.size_of(image), named_by=str(file))
        segments = _segments(file.parent.parent, file.stem, official=names == CLASSES) if masks else {}
        for place, element in enumerate(tree.findall("object"), start=1):
            name = element.findtext("name", "").strip()
            with found.skipping(f"{file}: object {place}"):
                fields = _fields(element, name, segments.get(place))
                found.add_object(image_id, name, crowd=fields["difficult"], **fields)
    return found.contents()


def _fields(element: Element, name: str, segment: Segment | None) -> dict[str, Any]:
    box = element.find("bndbox")
    words = [None if box is None else box.findtext(corner) for corner in CORNERS]
    try:
        left, top, right, bottom = (float(word or "") for word in words)
    except ValueError:
        found = ", ".join(f"{corner} {word!r}" for corner, word in zip(CORNERS, words, strict=True))
        raise ValueError(f"`bndbox` has {found}, but all four must be numbers") from None
    fields: dict[str, Any] = {
        "bbox": [left - 1, top - 1, right - left + 1, bottom - top + 1],
        "difficult": element.findtext("difficult", "0").strip() == "1",
    }
    if segment is not None and segment.name in (None, name):
        fields |= {"segmentation": segment.region.rle(), "area": segment.region.area}
    return fields


def _image_folder(file: Path) -> Path:
    above = file.parent.parent
    places = [above / "JPEGImages", *(above / "images" / sub for sub in (file.parent.name, "")), file.parent]
    return next((place for place in places[:-1] if place.is_dir()), places[-1])


def _image(file: Path, tree: Element, images: Path) -> Path:
    """By the name of the XML file, as in the challenges, or by the one inside the file."""
    stated = tree.findtext("filename", "").strip()
    ending = Path(stated).suffix or ".jpg"
    names = [f"{file.stem}{ending}", *([stated] if stated else []), *(f"{file.stem}{each}" for each in IMAGES)]
    places = [find_image(name, [images]) for name in names]
    return next((place for place in places if place.is_file()), places[0])


def _size(file: Path, tree: Element) -> tuple[int, int] | None:
    """(height, width) as the file has it; None where it is missing or 0, as some tools write it."""
    try:
        height, width = (int(tree.findtext(f"size/{side}", "0")) for side in ("height", "width"))
    except ValueError as error:
        raise DataError(f"{file}: `size` must be whole numbers ({error}). Correct it, or take it out.") from error
    return (height, width) if height > 0 and width > 0 else None


def _names(tree: Element) -> list[str]:
    return [element.findtext("name", "").strip() for element in tree.findall("object")]


def _parse(file: Path) -> Element:
    root = read_xml(file, "XML of Pascal VOC")
    if root.tag != "annotation":
        raise DataError(f"{file}: holds <{root.tag}>, but a file of Pascal VOC is an <annotation>. Give another file.")
    return root


def find_sbd(path: Path) -> Path | None:
    """The folder with `inst/` in SBD's distribution, `VOCdevkitSDS` or that folder itself; None: it is not there."""
    places = (path, path / "dataset", path / "benchmark_RELEASE" / "dataset")
    return next((place for place in places if (place / "inst").is_dir()), None)


def is_sbd(path: Path, split: str) -> bool:
    """Whether a folder holds a split of SBD."""
    return path.is_dir() and _sbd_list(path, split) is not None


def read_sbd(path: Path, split: str = "val", images: Path | None = None) -> Contents:
    """Read a split of SBD.

    Args:
        path: `benchmark_RELEASE/`, its `dataset/`, or another folder with `img/`, `inst/` and lists of images.
        split: Such as "train" or "val": the name of a list.
        images: Folder of the images; None: `img/`.

    Raises:
        DataError: The list or a file is missing, or a file cannot be read.
    """
    file = _sbd_list(path, split)
    if file is None:
        raise DataError(f"{path}: has no {split}.txt of SBD. The layout is {SBD_LAYOUT}.")
    found, inst = ContentsBuilder(CLASSES, file, images or file.parent / "img"), file.parent / "inst"
    for line in sorted(set(read_text(file, "a list of images").split())):
        matrix = inst / f"{line}.mat"
        require_inside(file, (file.parent, inst), [matrix])
        values, categories = _read_matlab(matrix)
        image_id = found.add_image(found.images / f"{line}.jpg", (values.shape[0], values.shape[1]), str(file))
        for region in find_regions(values):
            if not region.value:
                continue
            with found.skipping(f"{matrix}: object {region.value}"):
                number = categories[region.value - 1] if region.value <= len(categories) else "missing"
                if not isinstance(number, int) or not 1 <= number <= len(CLASSES):
                    raise ValueError(f"its class is {number}, but must be 1 to {len(CLASSES)}")
                found.add_object(
                    image_id, CLASSES[number - 1], bbox=list(region.box), area=region.area, segmentation=region.rle()
                )
    return found.contents()


def _sbd_list(path: Path, split: str) -> Path | None:
    root = find_sbd(path)
    names = split_names(split)
    files = [] if root is None else [root / f"{name}.txt" for name in names]
    return next((file for file in files if file.is_file()), None)


def _read_matlab(file: Path) -> tuple[np.ndarray, list[int]]:
    """[H, W] numbers of objects, 0 where none is, and the class of each."""
    known = read_matlab(file)
    try:
        found = known["GTinst"]
        values, categories = (found[name][0, 0] for name in ("Segmentation", "Categories"))
        values = np.atleast_2d(values)
        if values.ndim != 2 or values.dtype.kind not in "uif" or not np.isfinite(values).all():
            raise ValueError("Segmentation is no matrix of numbers")
        return values.astype(np.int64), np.ravel(categories).astype(np.int64).tolist()
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise DataError(f"{file}: has no GTinst with Segmentation and Categories ({error}). Copy it again.") from error


FORMAT = Format(
    "voc", "Pascal VOC", "Annotations/, JPEGImages/ and ImageSets/Main/train.txt, or train/*.xml", is_voc, read_voc
)
SBD = Format("sbd", "Semantic Boundaries Dataset", SBD_LAYOUT, is_sbd, read_sbd)
