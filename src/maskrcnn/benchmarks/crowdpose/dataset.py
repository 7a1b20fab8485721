"""CrowdPose (Li et al. 2019, https://github.com/Jeff-sjtu/CrowdPose): keypoints of people in crowds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...data.dataset import Contents
from ...data.readers.coco import parse_coco
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark, require_any
from .metric import crowdpose_sections, crowdpose_truth

REMEDY = "Use weights that find CrowdPose's 14 keypoints: COCO's have neither the head nor the neck."


class CrowdPose(Benchmark):
    """CrowdPose's keypoints."""

    name, title, splits = "crowdpose", "CrowdPose keypoints", ("test", "val", "trainval", "train")
    skip_invalid = True
    layout = "images/*.jpg, json/crowdpose_{train,val,trainval,test}.json"

    def open(self) -> None:
        file = self.folder / "json" / f"crowdpose_{self.split}.json"
        if not file.is_file():
            raise DataError(
                f"{file}: the annotation file of CrowdPose's {self.split} is not there. Unpack CrowdPose into "
                f"{self.folder}, so that it holds {self.layout}."
            )
        coco = parse_coco(file)
        self._crowd_index = {image["id"]: _crowd_index(file, image) for image in coco["images"]}
        contents = Contents(file, self.folder / "images", coco)
        self._annotated(contents, crowdpose_truth(Annotations.parse(coco, source=file.name)))

    def _score(self, results: Results, say: Say) -> list[Section]:
        require_any(results, ["keypoints"], REMEDY)
        return crowdpose_sections(self.known, self._crowd_index, results, say=say)


def _crowd_index(file: Path, image: dict[str, Any]) -> float:
    found = image.get("crowdIndex")
    if not isinstance(found, int | float) or not math.isfinite(found):
        raise DataError(
            f"{file}: image {image.get('id')} has the crowdIndex {found!r}, but it must be a number that says how "
            "crowded the image is. Take the file of the official distribution."
        )
    return float(found)
