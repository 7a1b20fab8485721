"""Everything there is to say about a dataset, and about how the settings of a network suit it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..config import InputSettings, ModelSettings
from ..config.base import Changes
from ..data.dataset import Dataset
from ..progress import Announce, counted, silently
from .anchors import Fit, better_anchors, find_in_anchors, fit, level_strides
from .class_checks import class_counts, find_in_classes, find_in_heads
from .detection_advice import find_in_numbers, find_in_overlaps
from .findings import SEVERITIES, Finding, in_order
from .image_checks import find_in_images, find_leaks
from .images import ImageFacts, look_at_images
from .input_advice import Seen, better_input, find_in_sizes, see
from .object_checks import SAME, find_in_boxes, find_in_keypoints, find_in_masks
from .objects import ObjectTable, measure_objects, overlapping_pairs
from .splits import ReadSplits, Split, read_splits


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """What was found.

    Args:
        source: Path of the dataset.
        settings: Of the network that it was held against.
        input_advised: Its input as it is advised, or as it is.
        tables: Objects of each split.
        facts: Images of each split.
        findings: The worst first.
        seen: The objects to train on, at the network's input; None without any.
        advised: The same at the input that is advised.
        now: How the settings' anchors fit them at the settings' input.
        best: How the advised anchors fit them at the advised input.
    """

    source: str
    settings: ModelSettings
    input_advised: InputSettings
    tables: list[ObjectTable]
    facts: list[list[ImageFacts]]
    findings: list[Finding]
    seen: Seen | None
    advised: Seen | None
    now: Fit | None
    best: Fit | None

    def __repr__(self) -> str:
        found = "".join(f"\n  {one.severity}: {one.what}" for one in self.findings)
        return f"Diagnosis of {self.source}: {counted(len(self.findings), 'finding')}{found}"

    @property
    def words(self) -> list[str]:
        """Settings for the command line of `maskrcnn train` that follow from all findings."""
        return list(dict.fromkeys(words for finding in self.findings for words in finding.settings))

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings of each severity."""
        return {each: sum(one.severity == each for one in self.findings) for each in SEVERITIES}

    def summary(self) -> dict[str, dict[str, Any]]:
        """Numbers of each split, by its name."""
        return {table.split.name: _summary(table) for table in self.tables}

    def write_page(self, path: Path | str, *, command: str | None = None) -> None:
        """Write it as an HTML page that needs no other file, with figures and examples.

        Args:
            path: The file.
            command: What to run with the advised settings, shown on the page.
        """
        from .page import write_diagnosis  # matplotlib is only loaded for this

        write_diagnosis(Path(path), self, command=command)

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON's terms, without what is known of each single image and object."""
        anchors = {"now": self.now, "advised": self.best}
        return {
            "data": self.source,
            "findings": [_plain(finding) for finding in self.findings],
            "counts": self.counts,
            "settings": self.words,
            "splits": self.summary(),
            "anchors": {
                name: {"iou_0.5": one.near, "iou_0.7": one.close, "sizes": one.settings.sizes}
                for name, one in anchors.items()
                if one is not None
            },
        }


def diagnose(
    data: Path | str | Dataset,
    settings: Changes = None,
    *,
    val: Path | str | Dataset | None = None,
    splits: Sequence[str] = (),
    form: str | None = None,
    images: Path | None = None,
    announce: Announce = silently,
) -> Diagnosis:
    """Look at every image and every object of a dataset, as an expert would before training; `maskrcnn doctor`.

    Args:
        data: Folder or file of any format, or a dataset that was read or made before.
        settings: Of the network to be trained, `{"input.min_size": 600}` or settings; None: the default ones.
        val: A second one, of validation images.
        splits: Names of the splits to look at; none: "train", "val" and "test", as far as they are there.
        form: Name of the format; None: recognized.
        images: Folder of the images, if it is not where the format has it.
        announce: Shows progress.

    Returns:
        The findings, the worst first, with the settings that follow from them; its `write_page` writes all of it as
        an HTML page with figures.

    Raises:
        DataError: Nothing known is there. What is wrong with a file that is there is a finding.
        SettingError: There is no such format, or parts of the network do not fit together.
    """
    chosen = settings if isinstance(settings, ModelSettings) else ModelSettings().changed(settings)
    with announce(f"reading {data if isinstance(data, Path | str) else data.source}", 0):
        read = read_splits(data, val=val, names=splits, form=form, images=images)
    source = str(data.source if isinstance(data, Dataset) else data)
    return _diagnose(source, read, chosen, announce)


def _diagnose(source: str, read: ReadSplits, settings: ModelSettings, announce: Announce) -> Diagnosis:
    strides = level_strides(settings)
    findings = list(read.findings)
    facts, tables = _look(read.splits, announce)
    for table, own in zip(tables, facts, strict=True):
        findings += _findings_of(table, own, settings)
    findings += find_leaks([(s.name, one) for s, own in zip(read.splits, facts, strict=True) for one in own])
    findings += find_in_classes(tables)
    findings += find_in_numbers(tables, settings)
    findings += find_in_heads(read.splits, settings)
    seen = see(tables[0], settings.input) if tables else None
    if seen is None or not len(seen.places):
        return Diagnosis(source, settings, settings.input, tables, facts, in_order(findings), None, None, None, None)
    findings += find_in_sizes(seen, settings.input)
    larger = with_words(settings.input, better_input(seen, settings.input))
    advised = see(tables[0], larger)
    now = fit(seen.objects, settings.anchors, strides)
    other = fit(advised.objects, settings.anchors, strides)
    best = fit(advised.objects, better_anchors(advised.objects, settings.anchors, strides), strides)
    findings += find_in_anchors(
        advised, other, best, at=" at the input advised above" if larger != settings.input else ""
    )
    return Diagnosis(source, settings, larger, tables, facts, in_order(findings), seen, advised, now, best)


def with_words(settings: InputSettings, words: Sequence[str]) -> InputSettings:
    """Settings with the numbers of words such as `input.min_size=800`."""
    pairs = (one.removeprefix("input.").partition("=") for one in words)
    return InputSettings.model_validate(settings.model_dump() | {key: float(value) for key, _, value in pairs})


def _look(splits: Sequence[Split], announce: Announce) -> tuple[list[list[ImageFacts]], list[ObjectTable]]:
    total = sum(len(split.data.records) for split in splits)
    with announce("reading images", total) as advance:
        facts = [look_at_images(split.data.records, on_progress=advance) for split in splits]
    with announce("measuring objects", total) as advance:
        return facts, [measure_objects(split, on_progress=advance) for split in splits]


def _findings_of(table: ObjectTable, facts: list[ImageFacts], settings: ModelSettings) -> list[Finding]:
    """What one split says by itself."""
    pairs = overlapping_pairs(table, min(SAME, settings.box_head.nms_threshold))
    return [
        *find_in_images(table.split.name, table.split.data.records, facts),
        *find_in_boxes(table, pairs),
        *find_in_masks(table),
        *find_in_keypoints(table),
        *find_in_overlaps(table, pairs, settings),
    ]


def _summary(table: ObjectTable) -> dict[str, Any]:
    counts, single = table.counts, ~table.crowd
    lengths = np.sqrt(table.sides.prod(axis=1)[single])
    names = table.split.data.classes.names
    return {
        "source": str(table.split.data.source),
        "images": len(counts),
        "empty_images": int((counts == 0).sum()),
        "objects": int(single.sum()),
        "crowds": int(table.crowd.sum()),
        "invalid": len(table.split.data.skipped),
        "per_image": _percentiles(counts),
        "size": _percentiles(lengths),
        "classes": dict(zip(names, class_counts(table).tolist(), strict=True)),
    }


def _percentiles(values: np.ndarray) -> dict[str, float]:
    """Median, 5th and 95th percentile and the largest, none of no values."""
    if not len(values):
        return {}
    low, middle, high = np.percentile(values, (5, 50, 95)).tolist()
    return {"p5": round(low, 1), "median": round(middle, 1), "p95": round(high, 1), "most": float(values.max())}


def _plain(finding: Finding) -> dict[str, Any]:
    examples = [
        {"words": one.words, "file": None if one.path is None else str(one.path), "box": one.box}
        for one in finding.examples
    ]
    return {**asdict(finding), "examples": examples}
