"""Pascal VOC 2007 and 2012: boxes, and masks by two rules (http://host.robots.ox.ac.uk/pascal/VOC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...data.readers.coco import to_data
from ...data.readers.voc import CLASSES, list_voc_set, read_segments, read_voc_pictures
from ...data.records import CocoData, Contents
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.results import checked_results
from ...evaluation.sections import Say, Section
from ...evaluation.voc import voc_box_section, voc_mask_sections
from .benchmark import Benchmark, Opened, Records
from .voc_files import read_voc_files, write_voc_files

LAYOUT = (
    "VOC{year}/ or VOCdevkit/VOC{year}/ with ImageSets/Main/, Annotations/, JPEGImages/ and, for masks, "
    "ImageSets/Segmentation/, SegmentationObject/, SegmentationClass/"
)
HIDDEN = {("2012", "test")}
"""Annotated only on the challenge's server."""


def open_voc(folder: Path, split: str, *, year: str) -> Opened:
    """Find a split of a challenge.

    Boxes are scored on the pictures of `ImageSets/Main`, masks on those of `ImageSets/Segmentation`, if there are any.

    Args:
        folder: With `VOC2012/`, or `VOCdevkit/VOC2012/`, or that folder itself.
        split: "train", "val", "trainval" or "test".
        year: "2007" or "2012".

    Raises:
        DataError: A file is missing or cannot be read.
    """
    places = (folder / "VOCdevkit" / f"VOC{year}", folder / f"VOC{year}", folder)
    root = next((place for place in places if (place / "ImageSets").is_dir()), places[1])
    listed = list_voc_set(root, "Main", split)
    if listed is None:
        raise DataError(
            f"{root / 'ImageSets' / 'Main' / split}.txt: the list of the pictures of VOC{year}'s {split} is not there. "
            f"The layout is {LAYOUT.format(year=year)}."
        )
    if (year, split) in HIDDEN:
        return _open_hidden(root, split, listed, year)
    segmented = (list_voc_set(root, "Segmentation", split) or []) if (root / "SegmentationObject").is_dir() else []
    # In this order the ids of the first do not depend on whether the label maps were unpacked, too.
    contents = read_voc_pictures(root, [*listed, *sorted({*segmented} - {*listed})])
    if contents.skipped:
        raise DataError(f"{contents.skipped[0]}. Unpack VOC{year} again, or correct the file.")
    truth = replace(load_annotations(contents.coco), source=f"VOC{year} {split}")
    names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}
    boxes = _chosen(truth, names, listed)

    def score(records: Records, say: Say) -> list[Section]:
        checked = checked_results(records, truth)
        sections = [voc_box_section(boxes, _in(boxes, checked), eleven_points=int(year) < 2010, say=say)]
        if segmented and (not checked or any(record.get("segmentation") for record in checked)):
            say("reading label maps")
            masks = _masks(root, _chosen(truth, names, segmented), names)
            sections += voc_mask_sections(masks, _in(masks, checked), say=say)
        return sections

    return Opened(
        source=str(root),
        pictures=lambda: to_data(contents, skip_invalid=True),
        score=score,
        submit=partial(write_voc_files, names=names, year=year, split=split),
        truth=truth,
        counts={"pictures": len(names), "objects": len(truth.objects)},
        image_names=names,
    )


def _open_hidden(root: Path, split: str, listed: Sequence[str], year: str) -> Opened:
    names = dict(enumerate(listed, start=1))

    def contents() -> Contents:
        images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in names.items()]
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
        coco = {"images": images, "categories": categories, "annotations": []}
        return Contents(root, root / "JPEGImages", coco)

    def pictures() -> CocoData:
        return to_data(contents())

    submit = partial(write_voc_files, names=names, year=year, split=split)
    return Opened(str(root), pictures, score=None, submit=submit, counts={"pictures": len(names)}, image_names=names)


def _chosen(truth: Annotations, names: dict[int, str], stems: Sequence[str]) -> Annotations:
    """The annotations of some pictures."""
    wanted = set(stems)
    sizes = {image_id: size for image_id, size in truth.sizes.items() if names[image_id] in wanted}
    return replace(truth, sizes=sizes, objects=[found for found in truth.objects if found["image_id"] in sizes])


def _in(truth: Annotations, records: Records) -> list[dict]:
    return [record for record in records if record["image_id"] in truth.sizes]


def _masks(root: Path, truth: Annotations, names: dict[int, str]) -> Annotations:
    """The objects of the label maps in place of those of the XML files."""
    category_ids = {name: category for category, name in truth.categories.items()}
    objects = [
        {
            "image_id": image_id,
            "category_id": category_ids[str(segment.name)],
            "bbox": list(segment.region.box),
            "area": segment.region.area,
            "segmentation": segment.region.run_lengths(),
        }
        for image_id in truth.sizes
        for segment in read_segments(root, names[image_id])
    ]
    return replace(truth, objects=objects)


VOC2007 = Benchmark(
    "Pascal VOC 2007",
    LAYOUT.format(year="2007"),
    ("test", "val", "train", "trainval"),
    partial(open_voc, year="2007"),
    read=read_voc_files,
    folder=True,
)
VOC2012 = Benchmark(
    "Pascal VOC 2012",
    LAYOUT.format(year="2012"),
    ("val", "train", "trainval", "test"),
    partial(open_voc, year="2012"),
    read=read_voc_files,
    folder=True,
)
