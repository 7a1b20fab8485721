"""COCO's panoptic segments (Kirillov et al. 2019; https://cocodataset.org/#panoptic-eval)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...data.dataset import Contents
from ...data.readers.coco import parse_coco
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.panoptic_quality import panoptic_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...predict.panoptic_evaluation import image_names
from ...predict.panoptic_files import panoptic_truth, read_panoptic_results, write_panoptic_results
from ..benchmark import Benchmark


class CocoPanoptic(Benchmark):
    """Segments of things and stuff."""

    name, title, splits = "coco-panoptic", "COCO panoptic segments", ("val", "train")
    layout = (
        "annotations/panoptic_{val,train}2017.json, annotations/panoptic_{val,train}2017/*.png (the zip files inside "
        "panoptic_annotations_trainval2017.zip, unpacked), {val,train}2017/*.jpg"
    )
    panoptic = True
    own_json = True
    submits = "folder"

    def open(self) -> None:
        file = self.folder / "annotations" / f"panoptic_{self.split}2017.json"
        if not file.is_file():
            raise DataError(
                f"{file}: the panoptic annotations of COCO's {self.split} are not there. Unpack COCO into "
                f"{self.folder}, so that it holds {self.layout}."
            )
        coco = parse_coco(file)
        self._truth = truth = panoptic_truth(file, coco)
        categories = {category: known.name for category, known in truth.classes.items()}
        segments = [one for listed in coco.get("annotations", []) for one in listed["segments_info"]]
        contents = Contents(file, self.folder / f"{self.split}2017", coco)
        self._annotated(contents, Annotations(file.name, dict(truth.sizes), categories, segments), coco=False)
        self.image_names = image_names(coco, truth)

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        return self._truth.parse(records, source=source)

    def _score(self, results: Results, say: Say) -> list[Section]:
        return panoptic_sections(self._truth, results, say)

    def _submit(self, results: Results, path: Path) -> None:
        write_panoptic_results(path, results, self.known.sizes, self.image_names)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_panoptic_results(path, self.image_names)
