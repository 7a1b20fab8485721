"""Pascal VOC 2007 and 2012: boxes, and masks by two rules (http://host.robots.ox.ac.uk/pascal/VOC)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ...data.dataset import Contents
from ...data.readers.sbd import LAYOUT as SBD_LAYOUT
from ...data.readers.sbd import read_sbd
from ...data.readers.voc import CLASSES, list_voc_set, read_segments, read_voc_images
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark, part_of
from .metric import voc_box_section, voc_mask_sections
from .submission import read_voc_files, write_voc_files

LAYOUT = (
    "VOC{year}/ or VOCdevkit/VOC{year}/ with ImageSets/Main/, Annotations/, JPEGImages/ and, for masks, "
    "ImageSets/Segmentation/, SegmentationObject/, SegmentationClass/"
)


class Voc2012(Benchmark):
    """The challenge of 2012, whose test only its server can score.

    Boxes are scored on the images of `ImageSets/Main`, masks on those of `ImageSets/Segmentation`, if there are any.
    """

    name, title, layout = "voc2012", "Pascal VOC 2012", LAYOUT.format(year="2012")
    splits = ("val", "train", "trainval", "test")
    skip_invalid = True
    submits = "folder"
    year: ClassVar[str] = "2012"
    eleven_points: ClassVar[bool] = False
    """Whether the challenge's AP is that at 11 recalls."""
    hidden: ClassVar[Sequence[str]] = ("test",)

    def open(self) -> None:
        places = (self.folder / "VOCdevkit" / f"VOC{self.year}", self.folder / f"VOC{self.year}", self.folder)
        self._root = root = next((place for place in places if (place / "ImageSets").is_dir()), places[1])
        listed = list_voc_set(root, "Main", self.split)
        if listed is None:
            raise DataError(
                f"{root / 'ImageSets' / 'Main' / self.split}.txt: the list of the images of VOC{self.year}'s "
                f"{self.split} is not there. The layout is {self.layout}."
            )
        if self.split in self.hidden:
            self._open_hidden(listed)
            return
        segmented = []
        if (root / "SegmentationObject").is_dir():
            segmented = list_voc_set(root, "Segmentation", self.split) or []
        # In this order the ids of the first do not depend on whether the label maps were unpacked, too.
        contents = read_voc_images(root, [*listed, *sorted({*segmented} - {*listed})])
        if contents.skipped:
            raise DataError(f"{contents.skipped[0]}. Unpack VOC{self.year} again, or correct the file.")
        self._annotated(contents, Annotations.parse(contents.coco, source=f"VOC{self.year} {self.split}"))
        self.image_names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}
        numbers = {name: number for number, name in self.image_names.items()}
        self._listed, self._segmented = ({numbers[name] for name in names} for names in (listed, segmented))

    def _open_hidden(self, listed: Sequence[str]) -> None:
        self.image_names = dict(enumerate(listed, start=1))
        images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in self.image_names.items()]
        classes = dict(enumerate(CLASSES, start=1))
        categories = [{"id": number, "name": name} for number, name in classes.items()]
        coco = {"images": images, "categories": categories, "annotations": []}
        sizes = dict.fromkeys(self.image_names, (0, 0))  # boxes, which are all that is sent, need none
        known = Annotations(f"VOC{self.year} {self.split}", sizes, classes, [])
        self._annotated(Contents(self._root, self._root / "JPEGImages", coco), known, public=False)

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        if not self.public:
            fields = ("image_id", "category_id", "score", "bbox")
            records = [{name: record[name] for name in fields if name in record} for record in records]
        return super().parse(records, source)

    @cached_property
    def _masks(self) -> Annotations:
        """The objects of the label maps in place of those of the XML files."""
        category_ids = {name: category for category, name in self.known.categories.items()}
        objects = [
            {
                "image_id": image_id,
                "category_id": category_ids[str(segment.name)],
                "bbox": list(segment.region.box),
                "area": segment.region.area,
                "segmentation": segment.region.rle(),
            }
            for image_id in self._segmented
            for segment in read_segments(self._root, self.image_names[image_id])
        ]
        return replace(self.known, objects=objects)

    def _score(self, results: Results, say: Say) -> list[Section]:
        boxes = part_of(self.known, results, self._listed)
        sections = [voc_box_section(*boxes, eleven_points=self.eleven_points, say=say)]
        if self._segmented and (not results or "segm" in results.kinds):
            say("reading label maps")
            sections += voc_mask_sections(*part_of(self._masks, results, self._segmented), say=say)
        return sections

    def _submit(self, results: Results, path: Path) -> None:
        write_voc_files(results, path, names=self.image_names, year=self.year, split=self.split)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_voc_files(path, self.image_names)


class Voc2007(Voc2012):
    """The challenge of 2007."""

    name, title, layout = "voc2007", "Pascal VOC 2007", LAYOUT.format(year="2007")
    splits = ("test", "val", "train", "trainval")
    year, eleven_points, hidden = "2007", True, ()


class Sbd(Benchmark):
    """SBD in `benchmark_RELEASE/`, its `dataset/`, or `VOCdevkitSDS/`, whose val.txt has the 5,732 images of SDS."""

    name, title, layout, splits = "sbd", "SBD masks of Pascal VOC 2012", SBD_LAYOUT, ("val", "train")
    skip_invalid = True

    def open(self) -> None:
        contents = read_sbd(self.folder, self.split)
        if contents.skipped:
            raise DataError(f"{contents.skipped[0]}. Unpack SBD again, or correct the file.")
        self._annotated(contents, Annotations.parse(contents.coco, source=f"SBD {self.split}"))

    def _score(self, results: Results, say: Say) -> list[Section]:
        return voc_mask_sections(self.known, results, say=say)
