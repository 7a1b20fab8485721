"""Cell17 and Kumar: nuclei in histology, told apart in label maps.

Kumar et al. 2017 as HoVer-Net has it (https://github.com/vqdang/hover_net); MICCAI 2017's challenge of pathology.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ...data.readers.coco import to_data
from ...data.readers.mask_pictures import find_label_maps, gather_label_maps, has_label_maps, is_parted
from ...errors import DataError
from ...evaluation.annotations import load_annotations
from ...evaluation.cells import SCORE_THRESHOLD, cell_sections
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .label_map_results import read_label_map_results, write_label_map_results

SPLITS = ("test", "train", "val")
KUMAR_LAYOUT = "{train,test_same,test_diff}/Images/*.tif and Labels/*.mat (inst_map), or test/ for both tests"
CELL17_LAYOUT = (
    "{train,test}/imageNN.png beside imageNN_mask.txt, or {train,test}/Images/*.png and Labels/*.mat (CPM17)"
)
DETECTIONS = 1500
"""Pictures of Kumar have up to more than a thousand nuclei."""


def open_cells(folder: Path, split: str, *, title: str, layout: str, first: str) -> Opened:
    """Find the pictures and label maps of a split.

    Args:
        folder: With the folders of the splits; one without is taken for the split that is asked for.
        split: Of `SPLITS`.
        title, layout: Of the benchmark, for messages.
        first: The section whose numbers papers quote.

    Raises:
        DataError: No label maps are there, a picture has none, or one cannot be read.
    """
    own = split if is_parted(folder) else "train"
    if not has_label_maps(folder, own):
        raise DataError(
            f"{folder}: no label maps of {title}'s split {split} are there. Unpack it, so that the folder holds "
            f"{layout}."
        )
    pictures = find_label_maps(folder, own)
    contents = gather_label_maps(pictures, folder, folder, class_name="nucleus")
    truth = replace(load_annotations(contents.coco), source=folder.name)
    names = {number: picture.picture.stem for number, picture in enumerate(pictures, start=1)}

    def score(records: Records, say: Say, threshold: float) -> list[Section]:
        sections = cell_sections(truth, records, score_threshold=threshold, say=say)
        return sorted(sections, key=lambda section: section.name != first)

    def opened(threshold: float) -> Opened:
        return Opened(
            source=str(folder),
            pictures=lambda: to_data(contents),
            score=partial(score, threshold=threshold),
            submit=partial(write_label_map_results, truth=truth, names=names, score_threshold=threshold),
            truth=truth,
            counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
            image_names=names,
            at=opened,
        )

    return opened(SCORE_THRESHOLD)


KUMAR = Benchmark(
    "Kumar nuclei",
    KUMAR_LAYOUT,
    SPLITS,
    partial(open_cells, title="Kumar", layout=KUMAR_LAYOUT, first="instances"),
    DETECTIONS,
    read_label_map_results,
    folder=True,
)
CELL17 = Benchmark(
    "Cell17 nuclei",
    CELL17_LAYOUT,
    SPLITS,
    partial(open_cells, title="Cell17", layout=CELL17_LAYOUT, first="glas"),
    DETECTIONS,
    read_label_map_results,
    folder=True,
)
