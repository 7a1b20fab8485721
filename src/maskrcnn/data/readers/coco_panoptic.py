"""Datasets in COCO's panoptic format (https://cocodataset.org/#format-data): a JSON file, and beside it a folder of
the same name with a PNG file of segments for each image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ...structures.annotated_masks import ObjectMasks
from ...structures.classes import Classes
from ...structures.panoptic import MOST_STUFF, THING
from ..dataset import Dataset, Record
from ..segments import SegmentFile, SegmentMask
from .coco_records import (
    AnnotatedObject,
    ImageEntry,
    is_id,
    make_instances,
    read_object,
    refuse_problems,
    require_files,
)

LARGEST_ID = 2**24 - 1


class _Annotated(NamedTuple):
    """Segments of an image: those of things, and what each one's pixels are in the semantic map."""

    things: dict[int, AnnotatedObject]
    meanings: dict[int, int]
    file_name: str


def read_panoptic(
    file: Path, contents: dict[str, Any], categories: Classes, images: dict[int, ImageEntry], *, skip_invalid: bool
) -> Dataset:
    """Read the segments of images: things become objects, the rest is kept for the semantic map.

    No PNG file is opened before its image is needed.

    Args:
        file: The JSON file.
        contents: What is in it.
        categories: Things and stuff together.
        images: By their ids.
        skip_invalid: Leave segments that cannot be used out, and list them in `skipped`, where one would be an error.

    Raises:
        DataError: Naming the file, the record, the value, the rule and the remedy.
    """
    classes = _split_stuff(file, categories, contents["categories"])
    problems: list[str] = []
    found: dict[int, _Annotated] = {}
    for annotation in contents["annotations"]:
        image_id = _check_annotation(file, annotation, images)
        if image_id in found:
            raise DataError(f"{file}: image {image_id} has two lists of segments. Join them, or remove one.")
        found[image_id] = _read_segments(file, annotation, images[image_id].size, classes, problems)
    if not skip_invalid:
        refuse_problems(problems, "segment")
    folder = segment_folder(file)
    require_files(file, folder, [one.file_name for one in found.values()])
    records = [_record(image_id, image, found.get(image_id), folder, classes) for image_id, image in images.items()]
    return Dataset(file, records, classes, contents, skipped=problems)


def segment_folder(file: Path) -> Path:
    """The folder of a file's segments: named as the file, beside it.

    Raises:
        DataError: It is not there.
    """
    folder = file.with_suffix("")
    if not folder.is_dir():
        raise DataError(
            f"{file}: its annotations are segments, whose PNG files belong into the folder {folder}, but it is not "
            "there. Put them there."
        )
    return folder


def _split_stuff(file: Path, everything: Classes, categories: list[dict[str, Any]]) -> Classes:
    stuff_ids = {category["id"] for category in categories if category.get("isthing", 1) in (0, False)}
    pairs = list(zip(everything.category_ids, everything.names, strict=True))
    things = [pair for pair in pairs if pair[0] not in stuff_ids]
    stuff = [pair for pair in pairs if pair[0] in stuff_ids]
    if not things or len(stuff) > MOST_STUFF:
        raise DataError(
            f"{file}: `categories` has {len(things)} kinds of things (`isthing` 1) and {len(stuff)} of stuff (0), but "
            f"there must be at least 1 of things and at most {MOST_STUFF} of stuff. Correct `isthing`."
        )
    return Classes(
        names=tuple(name for _, name in things),
        category_ids=tuple(number for number, _ in things),
        stuff=tuple(name for _, name in stuff),
        stuff_ids=tuple(number for number, _ in stuff),
    )


def _check_annotation(file: Path, annotation: dict[str, Any], images: dict[int, ImageEntry]) -> int:
    image_id, name, segments = (annotation.get(key) for key in ("image_id", "file_name", "segments_info"))
    if not is_id(image_id) or image_id not in images:
        raise DataError(
            f"{file}: a list of segments has `image_id` {image_id!r}, but no image of the file has this id. Correct it."
        )
    whole = isinstance(segments, list) and all(isinstance(segment, dict) for segment in segments)
    if not isinstance(name, str) or not whole:
        raise DataError(
            f"{file}: the segments of image {image_id}: `file_name` must be the name of a PNG file and `segments_info` "
            "a list of records. Export the file again."
        )
    return image_id


def _read_segments(
    file: Path, annotation: dict[str, Any], size: tuple[int, int], classes: Classes, problems: list[str]
) -> _Annotated:
    """The segments that can be used; what is wrong with the others is added to `problems`."""
    labels = {category_id: label for label, category_id in enumerate(classes.category_ids)}
    stuff = {category_id: label for label, category_id in enumerate(classes.stuff_ids)}
    read = _Annotated({}, {}, annotation["file_name"])
    for segment in annotation["segments_info"]:
        number = segment.get("id")
        try:
            if not is_id(number) or not 0 < number <= LARGEST_ID:
                raise ValueError(f"its id must be a whole number from 1 to {LARGEST_ID}, the color of its pixels")
            if number in read.meanings:
                raise ValueError("its id is used twice, but every segment needs its own")
            category = segment.get("category_id")
            if is_id(category) and category in stuff:
                read.meanings[number] = stuff[category]
            else:
                read.things[number] = read_object({**segment, "segmentation": None}, size, labels)
                read.meanings[number] = THING
        except ValueError as error:
            problems.append(f"{file}: segment {number!r} ({annotation['file_name']}): {error}")
    return read


def _record(image_id: int, image: ImageEntry, found: _Annotated | None, folder: Path, classes: Classes) -> Record:
    things = {} if found is None else found.things
    segments = None
    if found is not None:
        segments = SegmentFile(folder / found.file_name, image.size, tuple(found.meanings.items()))
    masks = ObjectMasks.of(list(_masks(segments, things)), image.size)
    instances = make_instances(image.size, list(things.values()), masks, classes)
    return Record(image.path, image_id, image.size, image.fields, instances, segments)


def _masks(segments: SegmentFile | None, things: dict[int, AnnotatedObject]) -> Iterator[SegmentMask]:
    if segments is not None:
        yield from (SegmentMask(segments, number) for number in things)
