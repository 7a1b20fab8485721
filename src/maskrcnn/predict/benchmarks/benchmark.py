"""What a benchmark is made of: where its files lie, what is predicted, how it is scored, what its server takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.records import CocoData
from ...evaluation.annotations import Annotations
from ...evaluation.sections import Say, Section

Records = Sequence[dict[str, Any]]
"""Predictions as COCO results: `image_id`, `category_id`, `score`, and `bbox`, `segmentation`, `keypoints`."""


@dataclass(frozen=True)
class Opened:
    """One split of a benchmark, found on disk.

    Args:
        source: The file or folder with its ground truth, for messages and reports.
        pictures: Reads the pictures that are predicted, with the benchmark's classes.
        score: Scores predictions; None: only the benchmark's server can. Say is called with what is being done.
        submit: Writes what the server takes (predictions, path); None: there is no server.
        truth: The ground truth as COCO has it, for the analysis of errors and for comparisons; None: it is not such.
        counts: Of the ground truth, such as {"pictures": 500, "objects": 2036}.
        image_names: Names of the pictures by id, where results of the benchmark's own format name them.
        require_submittable: Raises what keeps a model's predictions from being submitted, before they are made.
        at: The same split scored, and submitted, with predictions from another score on; None: scores only rank.
    """

    source: str
    pictures: Callable[[], CocoData]
    score: Callable[[Records, Say], list[Section]] | None
    submit: Callable[[Records, Path], None] | None = None
    truth: Annotations | None = None
    counts: dict[str, int] = field(default_factory=dict)
    image_names: dict[int, str] = field(default_factory=dict)
    require_submittable: Callable[[], object] | None = None
    at: Callable[[float], Opened] | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark of the literature.

    Args:
        title: For people.
        layout: Its files under `--data`, as they lie after unpacking, for help and messages.
        splits: The first is the usual one.
        open: Finds a split's files (folder, split).
        most_detections: Most detections per picture that a model should give.
        read: Reads predictions in the benchmark's own format (path, opened split); None: COCO results files only.
        segments: Scores want every pixel's segment (panoptic), not objects.
        own_json: Its own results are JSON files, too, which `read` tells from COCO's.
        folder: `Opened.submit` writes the files of a folder, which may be there.
    """

    title: str
    layout: str
    splits: tuple[str, ...]
    open: Callable[[Path, str], Opened]
    most_detections: int = 100
    read: Callable[[Path, Opened], Records] | None = None
    segments: bool = False
    own_json: bool = False
    folder: bool = False
