"""OCHuman (Zhang et al. 2019, https://github.com/liruilong940607/OCHumanApi): people that hide each other."""

from __future__ import annotations

from ..data.dataset import Contents
from ..data.readers.coco import parse_coco
from ..data.readers.ochuman import find_ochuman, read_ochuman
from ..evaluation.coco import coco_sections
from ..evaluation.results import IouType, Results
from ..evaluation.sections import Say, Section
from .benchmark import Benchmark, iou_types_given

OVERLAPS = {"": (0.0, 1.0), "-moderate": (0.5, 0.75), "-hard": (0.75, 1.0)}
"""From and below which IoU with another person, by the end of the split's name."""
IOU_TYPES: tuple[IouType, ...] = ("segm", "keypoints")
"""What is scored, of these what the results have."""
READY = "ochuman_coco_format_{}_range_{:.2f}_{:.2f}.json"


class OcHuman(Benchmark):
    """OCHuman's masks and keypoints, of the ready COCO file, or else of the native one, which is converted."""

    name, title = "ochuman", "OCHuman masks and keypoints"
    layout = (
        "images/*.jpg, ochuman_coco_format_{val,test}_range_0.00_1.00.json or ochuman.json (here or in annotations/)"
    )
    splits = tuple(f"{subset}{level}" for level in OVERLAPS for subset in ("val", "test"))
    skip_invalid = True

    def open(self) -> None:
        self._annotated(self._find())

    def _find(self) -> Contents:
        subset, _, level = self.split.partition("-")
        overlaps = OVERLAPS[f"-{level}" if level else ""]
        name, images = READY.format(subset, *overlaps), self.folder / "images"
        places = (self.folder / name, self.folder / "annotations" / name)
        if find_ochuman(self.folder) and not any(place.is_file() for place in places):
            return read_ochuman(self.folder, subset, images, overlaps=overlaps)
        file = self.find_file(*places)
        return Contents(file, images, parse_coco(file))

    def _score(self, results: Results, say: Say) -> list[Section]:
        return coco_sections(self.known, results, iou_types=iou_types_given(results, IOU_TYPES), say=say)
