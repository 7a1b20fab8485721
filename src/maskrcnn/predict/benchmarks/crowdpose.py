"""CrowdPose (Li et al. 2019, https://github.com/Jeff-sjtu/CrowdPose): keypoints of people in crowds."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...data.readers.coco import parse_coco, to_data
from ...data.records import Contents
from ...errors import DataError
from ...evaluation.annotations import load_annotations
from ...evaluation.crowdpose import crowdpose_sections, crowdpose_truth
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .wanted import require_any

SPLITS = ("test", "val", "trainval", "train")
REMEDY = "Use weights that find CrowdPose's 14 keypoints: COCO's have neither the head nor the neck."
LAYOUT = "images/*.jpg, json/crowdpose_{train,val,trainval,test}.json"


def open_crowdpose(folder: Path, split: str) -> Opened:
    """Find a split of CrowdPose.

    Raises:
        DataError: The annotation file is not there, or a picture has no `crowdIndex`.
    """
    file = folder / "json" / f"crowdpose_{split}.json"
    if not file.is_file():
        raise DataError(
            f"{file}: the annotation file of CrowdPose's {split} is not there. Unpack CrowdPose into {folder}, so that "
            f"it holds {LAYOUT}."
        )
    coco = parse_coco(file)
    truth = replace(load_annotations(coco), source=file.name)
    crowd_index = {image["id"]: _crowd_index(file, image) for image in coco["images"]}

    def score(records: Records, say: Say) -> list[Section]:
        require_any(records, ["keypoints"], REMEDY)
        return crowdpose_sections(truth, crowd_index, records, say=say)

    contents = Contents(file, folder / "images", coco)
    return Opened(
        source=str(file),
        pictures=lambda: to_data(contents, skip_invalid=True),
        score=score,
        truth=crowdpose_truth(truth),
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
    )


def _crowd_index(file: Path, image: dict[str, Any]) -> float:
    found = image.get("crowdIndex")
    if not isinstance(found, int | float) or not math.isfinite(found):
        raise DataError(
            f"{file}: image {image.get('id')} has the crowdIndex {found!r}, but it must be a number that says how "
            "crowded the picture is. Take the file of the official distribution."
        )
    return float(found)


CROWDPOSE = Benchmark("CrowdPose keypoints", LAYOUT, SPLITS, open_crowdpose)
