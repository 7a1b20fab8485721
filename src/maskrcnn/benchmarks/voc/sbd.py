"""Masks of SBD: what AP^r on Pascal VOC 2012 is reported on (Hariharan et al. 2011 and 2014)."""

from __future__ import annotations

from ...data.readers.voc import SBD_LAYOUT, read_sbd
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark
from .metric import voc_mask_sections


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
