"""All benchmarks by their names on the command line: a benchmark is one file or folder here and one line below."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError

if TYPE_CHECKING:
    from .benchmark import Benchmark

BENCHMARKS = {
    "coco": "coco.Coco",
    "coco-keypoints": "coco.CocoKeypoints",
    "coco-boundary": "coco.CocoBoundary",
    "coco-o": "coco_o.CocoO",
    "bdd100k": "bdd100k.dataset.Bdd100k",
    "isaid": "isaid.Isaid",
    "coco-panoptic": "coco.CocoPanoptic",
    "cityscapes": "cityscapes.dataset.Cityscapes",
    "cityscapes-panoptic": "cityscapes.dataset.CityscapesPanoptic",
    "lvis": "lvis.Lvis",
    "lvis-v0.5": "lvis.LvisV05",
    "voc2007": "voc.dataset.Voc2007",
    "voc2012": "voc.dataset.Voc2012",
    "sbd": "voc.dataset.Sbd",
    "crowdpose": "crowdpose.CrowdPose",
    "grit": "grit.dataset.Grit",
    "mhp": "mhp.dataset.Mhp",
    "ochuman": "ochuman.OcHuman",
    "cell17": "cells.dataset.Cell17",
    "kumar": "cells.dataset.Kumar",
    "nuclei": "cells.dataset.Nuclei",
    "icdar2015": "text.Icdar2015",
    "ctw1500": "text.Ctw1500",
}
"""Where the class of each is; it is imported when it is used, so that the names come without torch."""


def find_benchmark(name: str) -> type[Benchmark]:
    """The benchmark of a name.

    Raises:
        SettingError: There is none; the message lists them.
    """
    if name not in BENCHMARKS:
        raise SettingError(f"{name}: there is no such benchmark. Known are {', '.join(BENCHMARKS)}.")
    module, _, found = BENCHMARKS[name].rpartition(".")
    benchmark: type[Benchmark] = getattr(import_module(f".{module}", __package__), found)
    return benchmark


def open_benchmark(name: str, folder: Path | str, split: str | None = None) -> Benchmark:
    """Find the files of a benchmark's split.

    Args:
        name: Of `BENCHMARKS`.
        folder: Its files as they lie on disk after unpacking.
        split: None: the benchmark's usual one.

    Raises:
        SettingError: There is no such benchmark, or no such split of it.
        DataError: A file is missing or cannot be used.
    """
    return find_benchmark(name)(folder, split)
