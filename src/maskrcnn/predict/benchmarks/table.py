"""All benchmarks by their names on the command line: a benchmark is one file of this folder and one line here."""

from __future__ import annotations

from pathlib import Path

from ...errors import SettingError
from .bdd100k import BDD100K
from .benchmark import Benchmark, Opened
from .cells import CELL17, KUMAR
from .cityscapes import CITYSCAPES, CITYSCAPES_PANOPTIC
from .coco import BOUNDARY, COCO, KEYPOINTS
from .coco_o import COCO_O
from .coco_panoptic import COCO_PANOPTIC
from .crowdpose import CROWDPOSE
from .grit import GRIT
from .isaid import ISAID
from .lvis import LVIS, LVIS_V05
from .mhp import MHP
from .nuclei import NUCLEI
from .ochuman import OCHUMAN
from .sbd import SBD
from .text import CTW1500, ICDAR2015
from .voc import VOC2007, VOC2012

BENCHMARKS: dict[str, Benchmark] = {
    "coco": COCO,
    "coco-keypoints": KEYPOINTS,
    "coco-boundary": BOUNDARY,
    "coco-o": COCO_O,
    "bdd100k": BDD100K,
    "isaid": ISAID,
    "coco-panoptic": COCO_PANOPTIC,
    "cityscapes": CITYSCAPES,
    "cityscapes-panoptic": CITYSCAPES_PANOPTIC,
    "lvis": LVIS,
    "lvis-v0.5": LVIS_V05,
    "voc2007": VOC2007,
    "voc2012": VOC2012,
    "sbd": SBD,
    "crowdpose": CROWDPOSE,
    "grit": GRIT,
    "mhp": MHP,
    "ochuman": OCHUMAN,
    "cell17": CELL17,
    "kumar": KUMAR,
    "nuclei": NUCLEI,
    "icdar2015": ICDAR2015,
    "ctw1500": CTW1500,
}


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of a name.

    Raises:
        SettingError: There is none; the message lists them.
    """
    if name not in BENCHMARKS:
        raise SettingError(f"--benchmark {name}: there is no such benchmark. Known are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def open_benchmark(name: str, folder: Path, split: str | None = None) -> Opened:
    """Find the files of a benchmark's split.

    Args:
        name: Of `BENCHMARKS`.
        folder: Its files as they lie on disk after unpacking.
        split: None: the benchmark's usual one.

    Raises:
        SettingError: There is no such benchmark, or no such split of it.
        DataError: A file is missing.
    """
    benchmark = find_benchmark(name)
    split = split or benchmark.splits[0]
    if split not in benchmark.splits:
        raise SettingError(f"--split {split}: {name} has {', '.join(benchmark.splits)}. Give one of these.")
    return benchmark.open(folder, split)
