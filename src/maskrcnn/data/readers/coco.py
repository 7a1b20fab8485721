"""Datasets in COCO's format (https://cocodataset.org/#format-data)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...ops.files import read_json
from ...structures.annotated_masks import ObjectMasks
from ...structures.classes import Classes
from ...structures.coco_forms import plain_content
from ...structures.keypoint_lists import with_listed_keypoints
from ..confinement import folders_of, require_inside
from ..dataset import Contents, Dataset, Record, is_panoptic
from .coco_folders import find_coco, has_split
from .coco_panoptic import read_panoptic
from .coco_records import (
    AnnotatedObject,
    ImageEntry,
    box_polygon,
    is_id,
    make_instances,
    read_images,
    read_keypoint_schema,
    read_object,
    refuse_problems,
)
from .contents import Format, explaining


def read_coco(annotations: Path, images: Path, *, skip_invalid: bool = False) -> Dataset:
    """Read a dataset in COCO's format.

    Polygons, both kinds of RLE, crowds, keypoints and gaps in the category ids are understood. `annotations`,
    `area`, `iscrowd`, `segmentation` (the box stands in for it), `bbox` (taken from the polygon), and `width` and
    `height` (read from the image) may be missing. Ids of annotations may repeat. Boxes that reach over
    the image's edge are cut at it. A file in COCO's panoptic format is read by `read_panoptic`.

    Args:
        annotations: The JSON file.
        images: Folder of the images.
        skip_invalid: Leave objects that cannot be used out, and list them in `skipped`, where one would be an error.

    Raises:
        DataError: Naming the file, the record, the value, the rule and the remedy.
    """
    return to_data(Contents(annotations, images, parse_coco(annotations)), skip_invalid=skip_invalid)


def to_data(contents: Contents, *, skip_invalid: bool = False, pixels: Mapping[int, Tensor] | None = None) -> Dataset:
    """Check what a reader found, and make records of it: the one place where values of any format are checked.

    Args:
        contents: Of any format.
        skip_invalid: As for `read_coco`.
        pixels: [C, height, width] uint8 of the images that are in memory, by their ids; the others are files.

    Raises:
        DataError: Naming the file, the record, the value, the rule and the remedy.
    """
    with explaining(contents.source):
        return _to_data(contents, skip_invalid, pixels)


def _to_data(contents: Contents, skip_invalid: bool, pixels: Mapping[int, Tensor] | None) -> Dataset:
    source, coco = contents.source, dict(with_listed_keypoints(plain_content(contents.coco)))
    classes = _classes(source, coco["categories"])
    held = pixels or {}
    images = read_images(source, coco["images"], contents.images, in_memory=held.keys())
    if pixels is None:  # else the user names the files
        require_inside(source, folders_of(source, contents.images), (image.path for image in images.values()))
    if is_panoptic(coco):
        found = read_panoptic(source, coco, classes, images, skip_invalid=skip_invalid)
        return replace(found, images=contents.images)
    objects, problems = _objects(source, coco.get("annotations", []), images, classes)
    messages = [*contents.skipped, *problems.values()]
    if not skip_invalid:
        refuse_problems(messages, "object")
    records = [
        _record(image_id, image, objects[image_id], classes, held.get(image_id)) for image_id, image in images.items()
    ]
    boxes_only = sum(one.source is None for each in objects.values() for one in each)
    return Dataset(
        source,
        records,
        classes,
        coco,
        skipped=messages,
        skipped_places=frozenset(problems),
        without_mask=boxes_only,
        images=contents.images,
    )


def parse_coco(path: Path) -> dict[str, Any]:
    """The contents of an annotation file, with `images` and `categories` known to be lists of records.

    Raises:
        DataError: The file is missing, is no JSON, or is JSON of another kind.
    """
    contents = read_json(path, expected="a COCO annotation file", remedy="Copy or export it again.")
    if not isinstance(contents, dict):
        raise DataError(
            f"{path}: the file holds a {type(contents).__name__}, but a COCO annotation file is an object with "
            "`images`, `annotations` and `categories` (a list is what results files hold). Give the annotation file."
        )
    for key in ("images", "categories", "annotations"):
        records = contents.get(key, [] if key == "annotations" else None)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            wrong = "is missing" if key not in contents else "is not a list of records"
            raise DataError(f"{path}: `{key}` {wrong}, but a COCO annotation file needs it. Export the file again.")
    return dict(plain_content(contents))


def read_classes(path: Path) -> Classes:
    """The classes of a COCO file, in the order of their ids.

    Raises:
        DataError: It is no such file.
    """
    return _classes(path, parse_coco(path)["categories"])


def _classes(file: Path, categories: list[dict[str, Any]]) -> Classes:
    names: dict[int, str] = {}
    for category in categories:
        category_id = category.get("id")
        if not is_id(category_id) or category_id in names:
            wrong = "is used twice" if is_id(category_id) else "is not a whole number"
            raise DataError(
                f"{file}: category {category.get('name')!r}: `id` {category_id!r} {wrong}. Give it its own id."
            )
        names[category_id] = str(category.get("name", category_id))
    if not names:
        raise DataError(f"{file}: `categories` is empty, but objects need a class. Add at least one category.")
    ids = sorted(names)
    return Classes(tuple(names[i] for i in ids), tuple(ids), keypoint_schema=read_keypoint_schema(file, categories))


def _objects(
    file: Path, annotations: list[dict[str, Any]], images: dict[int, ImageEntry], classes: Classes
) -> tuple[dict[int, list[AnnotatedObject]], dict[int, str]]:
    """The objects of each image, and what is wrong with those that cannot be used, by their place in the file."""
    labels = {category_id: label for label, category_id in enumerate(classes.category_ids)}
    objects: dict[int, list[AnnotatedObject]] = defaultdict(list)
    problems: dict[int, str] = {}
    for place, annotation in enumerate(annotations):
        number, image_id = annotation.get("id"), annotation.get("image_id")
        image = images.get(image_id) if is_id(image_id) else None
        try:
            if image is None or not is_id(image_id):
                raise ValueError(f"`image_id` is {image_id!r}, but no image of the file has this id")
            objects[image_id].append(read_object(annotation, image.size, labels, classes.keypoint_schema))
        except ValueError as error:
            name = f"annotation {number}" if number is not None else f"annotation at place {place}, without an id"
            problems[place] = f"{file}: {name}{f' ({image.path.name})' if image else ''}: {error}"
    return objects, problems


def _record(
    image_id: int, image: ImageEntry, objects: list[AnnotatedObject], classes: Classes, pixels: Tensor | None
) -> Record:
    sources = [box_polygon(one.box) if one.source is None else one.source for one in objects]
    masks, keypoints = ObjectMasks.of(sources, image.size), _stack_keypoints(objects, classes)
    instances = make_instances(image.size, objects, masks, classes, keypoints)
    return Record(image.path, image_id, image.size, image.fields, instances, pixels=pixels)


def _stack_keypoints(objects: list[AnnotatedObject], classes: Classes) -> Tensor | None:
    if classes.keypoint_schema is None:
        return None
    stacked = np.array([one.keypoints for one in objects], dtype=np.float32)
    return torch.from_numpy(stacked.reshape(-1, classes.keypoint_count, 3))


def _read_coco(path: Path, split: str, images: Path | None) -> Contents:
    files = find_coco(path, split, images=images)
    return Contents(files.annotations, files.images, parse_coco(files.annotations))


def _is_coco(path: Path, split: str) -> bool:
    return path.suffix == ".json" if path.is_file() else has_split(path, split)


FORMAT = Format("coco", "COCO", "annotations/instances_val2017.json beside val2017/, or val.json", _is_coco, _read_coco)
