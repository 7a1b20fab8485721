"""OCHuman (Zhang et al. 2019, https://github.com/liruilong940607/OCHumanApi): people that hide each other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ...data.readers.coco import parse_coco, to_data
from ...data.readers.ochuman import find_ochuman, read_ochuman
from ...data.records import Contents
from ...errors import DataError
from ...evaluation.annotations import load_annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Kind
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .wanted import kinds_given

OVERLAPS = {"": (0.0, 1.0), "-moderate": (0.5, 0.75), "-hard": (0.75, 1.0)}
"""From and below which IoU with another person, by the end of the split's name."""
KINDS: tuple[Kind, ...] = ("segm", "keypoints")
"""What is scored, of these what the results have."""
SPLITS = tuple(f"{subset}{level}" for level in OVERLAPS for subset in ("val", "test"))
READY = "ochuman_coco_format_{}_range_{:.2f}_{:.2f}.json"
LAYOUT = "images/*.jpg, ochuman_coco_format_{val,test}_range_0.00_1.00.json or ochuman.json (here or in annotations/)"


def open_ochuman(folder: Path, split: str) -> Opened:
    """Find a split of OCHuman: the ready COCO file, or else the native one, which is converted.

    Raises:
        DataError: Neither is there, or it cannot be used.
    """
    subset, _, level = split.partition("-")
    overlaps = OVERLAPS[f"-{level}" if level else ""]
    read = partial(_read, folder, subset, overlaps)
    contents = read()
    truth = replace(load_annotations(contents.coco), source=contents.source.name)

    def score(records: Records, say: Say) -> list[Section]:
        return coco_sections(truth, records, kinds=kinds_given(records, KINDS), say=say)

    return Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents, skip_invalid=True),
        score=score,
        truth=truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
    )


def _read(folder: Path, subset: str, overlaps: tuple[float, float]) -> Contents:
    name = READY.format(subset, *overlaps)
    for file in (folder / name, folder / "annotations" / name):
        if file.is_file():
            return Contents(file, folder / "images", parse_coco(file))
    if find_ochuman(folder) is None:
        raise DataError(
            f"{folder / name}: OCHuman's {subset} is not there, neither in COCO's format nor as ochuman.json. Unpack "
            f"OCHuman into {folder}, so that it holds {LAYOUT}."
        )
    return read_ochuman(folder, subset, folder / "images", overlaps=overlaps)


OCHUMAN = Benchmark("OCHuman masks and keypoints", LAYOUT, SPLITS, open_ochuman)
