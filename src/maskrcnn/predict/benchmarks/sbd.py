"""Masks of SBD: what AP^r on Pascal VOC 2012 is reported on (Hariharan et al. 2011 and 2014)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...data.readers.coco import to_data
from ...data.readers.sbd import LAYOUT, read_sbd
from ...errors import DataError
from ...evaluation.annotations import load_annotations
from ...evaluation.sections import Say, Section
from ...evaluation.voc import voc_mask_sections
from .benchmark import Benchmark, Opened, Records


def open_sbd(folder: Path, split: str) -> Opened:
    """Find a split of SBD.

    Args:
        folder: `benchmark_RELEASE/`, its `dataset/`, or `VOCdevkitSDS/`, whose val.txt has the 5,732 pictures of SDS.
        split: "val" or "train".

    Raises:
        DataError: A file is missing or cannot be used.
    """
    contents = read_sbd(folder, split)
    if contents.skipped:
        raise DataError(f"{contents.skipped[0]}. Unpack SBD again, or correct the file.")
    truth = replace(load_annotations(contents.coco), source=f"SBD {split}")

    def score(records: Records, say: Say) -> list[Section]:
        return voc_mask_sections(truth, records, say=say)

    return Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents, skip_invalid=True),
        score=score,
        truth=truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
    )


SBD = Benchmark("SBD masks of Pascal VOC 2012", LAYOUT, ("val", "train"), open_sbd)
