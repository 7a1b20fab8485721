"""COCO's panoptic segments (Kirillov et al. 2019; https://cocodataset.org/#panoptic-eval)."""

from __future__ import annotations

from pathlib import Path

from ...data.readers.coco import parse_coco, to_data
from ...data.records import Contents
from ...errors import DataError
from ...evaluation.panoptic_quality import panoptic_sections
from ...evaluation.sections import Say, Section
from ..panoptic_evaluation import picture_names
from ..panoptic_files import (
    checked_segments,
    panoptic_truth,
    read_panoptic_results,
    require_masks,
    write_panoptic_results,
)
from .benchmark import Benchmark, Opened, Records

SPLITS = ("val", "train")
LAYOUT = (
    "annotations/panoptic_{val,train}2017.json, annotations/panoptic_{val,train}2017/*.png (the zip files inside "
    "panoptic_annotations_trainval2017.zip, unpacked), {val,train}2017/*.jpg"
)


def open_coco_panoptic(folder: Path, split: str) -> Opened:
    """Find a split.

    Raises:
        DataError: The annotation file or the folder of segments is not there, or a record cannot be used.
    """
    file = folder / "annotations" / f"panoptic_{split}2017.json"
    if not file.is_file():
        raise DataError(
            f"{file}: the panoptic annotations of COCO's {split} are not there. Unpack COCO into {folder}, so that it "
            f"holds {LAYOUT}."
        )
    coco = parse_coco(file)
    truth = panoptic_truth(file, coco)
    names = picture_names(coco, truth)

    def score(records: Records, say: Say) -> list[Section]:
        return panoptic_sections(truth, checked_segments(records, truth), say)

    contents = Contents(file, folder / f"{split}2017", coco)
    return Opened(
        source=str(file),
        pictures=lambda: to_data(contents),
        score=score,
        submit=lambda records, path: write_panoptic_results(path, require_masks(records), truth.sizes, names),
        counts={
            "pictures": len(truth.sizes),
            "objects": sum(len(one["segments_info"]) for one in coco.get("annotations", [])),
        },
        image_names=names,
    )


def read_segments(path: Path, opened: Opened) -> Records:
    """Results of the official format: a JSON file beside its folder of PNG files.

    Raises:
        DataError: As `read_panoptic_results`.
    """
    return read_panoptic_results(path, opened.image_names)


COCO_PANOPTIC = Benchmark(
    "COCO panoptic segments",
    LAYOUT,
    SPLITS,
    open_coco_panoptic,
    read=read_segments,
    segments=True,
    own_json=True,
    folder=True,
)
