"""Cell17 and Kumar: nuclei in histology, told apart in label maps.

Kumar et al. 2017 as HoVer-Net has it (https://github.com/vqdang/hover_net); MICCAI 2017's challenge of pathology.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from ...data.readers.mask_images import find_label_maps, gather_label_maps, has_label_maps, is_parted
from ...errors import DataError
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ..benchmark import Benchmark
from .metric import cell_sections
from .submission import read_label_maps, write_label_maps


class Kumar(Benchmark):
    """The nuclei of seven organs; a folder without those of the splits is taken for the split that is asked for."""

    name, title, splits = "kumar", "Kumar nuclei", ("test", "train", "val")
    layout = "{train,test_same,test_diff}/Images/*.tif and Labels/*.mat (inst_map), or test/ for both tests"
    max_detections = 1500  # images have up to more than a thousand nuclei
    thresholded = True
    submits = "folder"
    first: ClassVar[str] = "instances"
    """The section whose numbers papers quote."""

    def open(self) -> None:
        own = self.split if is_parted(self.folder) else "train"
        if not has_label_maps(self.folder, own):
            raise DataError(
                f"{self.folder}: no label maps of {self.title}, split {self.split}, are there. Unpack it, so that the "
                f"folder holds {self.layout}."
            )
        images = find_label_maps(self.folder, own)
        self._annotated(gather_label_maps(images, self.folder, self.folder, class_name="nucleus"))
        self.image_names = {number: image.image.stem for number, image in enumerate(images, start=1)}

    def _score(self, results: Results, say: Say) -> list[Section]:
        sections = cell_sections(self.known, results, score_threshold=self.score_threshold, say=say)
        return sorted(sections, key=lambda section: section.name != self.first)

    def _submit(self, results: Results, path: Path) -> None:
        write_label_maps(results, path, self.known.sizes, self.image_names, score_threshold=self.score_threshold)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_label_maps(path, self.known, self.image_names)


class Cell17(Kumar):
    """The nuclei of the challenge of 2017."""

    name, title = "cell17", "Cell17 nuclei"
    layout = "{train,test}/imageNN.png beside imageNN_mask.txt, or {train,test}/Images/*.png and Labels/*.mat (CPM17)"
    first = "glas"
