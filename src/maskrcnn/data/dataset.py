"""Datasets: annotated images, read from files of any format or made in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import torch
from torch import Tensor

from ..errors import DataError, SettingError
from ..structures.classes import Classes, in_whole_pixels
from ..structures.instances import Instances
from ..structures.masks import encode_crop
from .held_out import choose_held_out
from .segments import SegmentFile

if TYPE_CHECKING:
    from .memory import Image, Objects


@dataclass(frozen=True, eq=False)
class Record:
    """One annotated image, not read yet.

    Args:
        path: Its file; of an image in memory a name for it.
        image_id: The dataset's id of it.
        size: (height, width) of it, after its EXIF orientation is applied.
        fields: Whatever else its record says, e.g. `{"modality": "fluorescence"}`.
        instances: Annotated objects in the image's own pixels, masks as `ObjectMasks`.
        segments: Where the classes of its pixels are, if they are annotated.
        proposals: Boxes [N, 4] in its pixels that take the place of the network's own proposals, the best first.
        pixels: [C, height, width] uint8 of an image in memory; None: they are read from the file.
    """

    path: Path
    image_id: int
    size: tuple[int, int]
    fields: dict[str, Any]
    instances: Instances
    segments: SegmentFile | None = None
    proposals: Tensor | None = None
    pixels: Tensor | None = None


class Contents(NamedTuple):
    """A dataset of any format said in COCO's terms, nothing of it checked yet.

    Args:
        source: The file or folder it was read from, for messages.
        images: Folder that the images' file names start from.
        coco: `images`, `categories` and `annotations`, as in a COCO file.
        skipped: One message per object that the format's reader had to leave out.
    """

    source: Path
    images: Path
    coco: dict[str, Any]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset, whatever its format: a sequence of `Record`s with their classes.

    `read_dataset` reads one from files, `from_samples` makes one of arrays; what is trained, evaluated and looked at
    takes either.

    Args:
        source: The annotation file or folder, for messages.
        records: One per image, in the order of the file.
        classes: Labels, names and category ids.
        coco: What it was made from, in COCO's terms; None: not kept, see `without_coco`.
        skipped: One message per object that was left out because it is invalid.
        skipped_places: Where these objects stand in the file's `annotations`, counted from 0.
        without_mask: How many objects had no polygon; their box stands in for it.
        images: Folder that the images' file names in `coco` start from.
    """

    source: Path
    records: list[Record] = field(repr=False)
    classes: Classes
    coco: dict[str, Any] | None = field(default=None, repr=False)
    skipped: list[str] = field(default_factory=list, repr=False)
    skipped_places: frozenset[int] = field(default=frozenset(), repr=False)
    without_mask: int = 0
    images: Path = Path()

    @classmethod
    def from_samples(
        cls, samples: Iterable[tuple[Image, Objects]], classes: Sequence[str] | Classes, *, source: str = "samples"
    ) -> Dataset:
        """Make a dataset in memory; no file is needed.

        Args:
            samples: Pairs of an image and its objects. An image is a path, a numpy array [H, W, 3] RGB or [H, W] gray,
                a tensor [C, H, W] (both uint8), or a PIL image. Its objects are `Instances`, or a list of dicts with
                the fields of COCO's annotations: `category` (a name) or `category_id`; `bbox` x, y, width, height in
                pixels; `segmentation`, polygons or RLE or a bool array [H, W]; perhaps `iscrowd` and `keypoints`. One
                of `bbox` and `segmentation` is enough.
            classes: Names, whose category ids are 1, 2, ...; or `Classes`, with ids and keypoints of their own.
            source: Its name in messages.

        Raises:
            DataError: Naming the sample (annotation 3 of image_2), the value, the rule and the remedy.
        """
        from .memory import dataset_from_samples

        return dataset_from_samples(samples, classes, source)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Record | Dataset:
        """The record at a place, or a dataset of some in a row."""
        found = self.records[index]
        return found if isinstance(found, Record) else replace(self, records=found)

    def subset(self, places: Iterable[int]) -> Dataset:
        """The images at some places, in this order."""
        return replace(self, records=[self.records[place] for place in places])

    def where(self, conditions: Sequence[str]) -> Dataset:
        """The images whose records fit all conditions.

        Args:
            conditions: `field=value`, such as `gray=true` or `modality=fluorescence`. Values are compared as JSON
                writes them, without regard to case; a record without the field counts as `null`.

        Raises:
            SettingError: A condition is not written so.
            DataError: No record has the field, or none fits.
        """
        known = {name for record in self.records for name in record.fields}
        asked = {}
        for words in conditions:
            name, equals, value = words.partition("=")
            if not equals:
                raise SettingError(f"{words}: conditions are written as field=value, for example gray=true.")
            if name not in known:
                raise DataError(
                    f"{self.source}: no image record has the field {name!r} of the condition {words}. Their fields are "
                    f"{', '.join(sorted(known)) or 'none'}."
                )
            asked[name] = value.casefold()
        records = [
            record
            for record in self.records
            if all(_written(record.fields.get(name)).casefold() == value for name, value in asked.items())
        ]
        if asked and not records:
            raise DataError(
                f"{self.source}: none of the {len(self)} images fits {' and '.join(conditions)}. Their records say "
                f"{'; '.join(self._values(name) for name in asked)}."
            )
        return replace(self, records=records)

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Split at random into training images and images held out, both with objects and with all classes if possible.

        Args:
            fraction: Share of the images that is held out, rounded; at least one image, and never all.
            seed: The same seed holds out the same images.

        Raises:
            DataError: There are fewer than two images.
            SettingError: The fraction does not lie between 0 and 1.
        """
        if not 0 < fraction < 1:
            raise SettingError(f"fraction={fraction}: must lie between 0 and 1, such as 0.1.")
        count = len(self)
        if count < 2:
            raise DataError(
                f"{self.source}: has {count} image, but at least 2 are needed to hold one out for validation. "
                "Add images, or give validation data of its own."
            )
        held = min(count - 1, max(1, round(fraction * count)))
        chosen = choose_held_out([learned_labels(record) for record in self.records], held, seed)
        return self.subset(place for place in range(count) if place not in chosen), self.subset(sorted(chosen))

    def without_coco(self) -> Dataset:
        """The same without what it was made from, which of a large file is several times as large as the records."""
        return replace(self, coco=None)

    def to_coco(self) -> dict[str, Any]:
        """It in COCO's terms: what it was made from, with the images of `records` and without skipped objects.

        Sizes and names that the file lacks are filled in. Of segments in COCO's panoptic format, the things are listed
        as objects; so is everything after `without_coco`.
        """
        coco = self.coco if self.coco is not None else self._described()
        sizes = {record.image_id: record.size for record in self.records}
        images = [
            {**image, "height": sizes[image["id"]][0], "width": sizes[image["id"]][1]}
            for image in coco["images"]
            if image["id"] in sizes
        ]
        categories = [
            {**category, "name": str(category.get("name", category["id"]))}
            for category in coco["categories"]
            if category["id"] not in self.classes.stuff_ids
        ]
        if self.coco is None or is_panoptic(coco):
            annotations = list(self._list_objects())
        else:
            annotations = [
                found
                for place, found in enumerate(coco.get("annotations", []))
                if place not in self.skipped_places and found.get("image_id") in sizes
            ]
        return {**coco, "images": images, "annotations": annotations, "categories": categories}

    def _described(self) -> dict[str, Any]:
        """Images and categories of the records."""
        keypoints = {} if self.classes.keypoint_schema is None else self.classes.keypoint_schema.described()
        pairs = zip(self.classes.category_ids, self.classes.names, strict=True)
        images = [{**one.fields, "id": one.image_id, "file_name": str(one.path)} for one in self.records]
        return {"images": images, "categories": [{"id": number, "name": name, **keypoints} for number, name in pairs]}

    def _list_objects(self) -> Iterator[dict[str, Any]]:
        """The objects as COCO's annotations."""
        number = 0
        for record in self.records:
            for found in coco_objects(record.instances, self.classes):
                number += 1
                yield {"id": number, "image_id": record.image_id, **found}

    def _values(self, name: str, most: int = 5) -> str:
        """Values a field has, for a message."""
        values = sorted({_written(record.fields.get(name)) for record in self.records})
        return f"{name}={' or '.join(values[:most])}{' or others' if len(values) > most else ''}"


def coco_objects(objects: Instances, classes: Classes) -> Iterator[dict[str, Any]]:
    """Annotated objects as COCO's annotations without ids, masks as RLE; boxes where there are no masks."""
    crowds = [False] * len(objects) if objects.crowd is None else objects.crowd.tolist()
    points = None if objects.keypoints is None else in_whole_pixels(objects.keypoints).tolist()
    columns = zip(objects.boxes.tolist(), objects.labels.tolist(), crowds, strict=True)
    for i, ((x1, y1, x2, y2), label, crowd) in enumerate(columns):
        found = {
            "category_id": classes.category_ids[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(crowd),
        }
        if objects.masks is not None:
            crop = objects.masks.crop(i)
            found |= {"area": int(crop.bitmap.sum()), "segmentation": encode_crop(crop, objects.size)}
        if points is not None:
            found["keypoints"] = [0 if points[i][place // 3 * 3 + 2] == 0 else v for place, v in enumerate(points[i])]
        yield found


def is_panoptic(coco: dict[str, Any]) -> bool:
    """Whether the annotations of a COCO file are segments."""
    return any("segments_info" in annotation for annotation in coco.get("annotations", [])[:1])


def to_rgb(pixels: Tensor) -> Tensor:
    """[3, H, W] of [C, H, W]: gray three times, two channels as red and green, or the first three of more."""
    if len(pixels) == 2:
        return torch.cat([pixels, torch.zeros_like(pixels[:1])])
    return pixels.expand(3, -1, -1) if len(pixels) == 1 else pixels[:3]


def require_objects(data: Dataset) -> None:
    """Refuse to train on a dataset without a single object that counts; evaluation and prediction accept it.

    Raises:
        DataError: No image has an object, or all objects are crowds.
    """
    if not any(has_objects(record) for record in data.records):
        skipped = " and the objects that were skipped" if data.skipped else ""
        raise DataError(
            f"{data.source}: none of the {len(data.records)} images has an object (crowds do not count), so there is "
            f"nothing to train on. Check its `annotations`{skipped}."
        )


def common_folder(records: Sequence[Record]) -> Path:
    """The folder that all images lie in, or below; that of this process if there are none."""
    return Path(os.path.commonpath([record.path.absolute().parent for record in records])) if records else Path.cwd()


def has_objects(record: Record) -> bool:
    """Whether an image has an object that training learns from: one that is no crowd."""
    return len(record.instances) > count_crowds(record)


def count_crowds(record: Record) -> int:
    """How many objects of an image are crowds, from which training does not learn."""
    crowd = record.instances.crowd
    return 0 if crowd is None else int(crowd.sum())


def learned_labels(record: Record) -> set[int]:
    """The classes of the objects of an image that training learns from."""
    labels, crowd = record.instances.labels, record.instances.crowd
    return set((labels if crowd is None else labels[~crowd]).tolist())


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
