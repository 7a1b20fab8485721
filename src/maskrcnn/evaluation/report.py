"""The scores of predictions: numbers by name, tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from .. import __version__
from ..ops.files import write_json
from ..progress import counted
from .accuracy import Threshold, accuracy_section
from .annotations import Annotations
from .coco import coco_sections, iou_types_to_score
from .results import IouType, Results
from .sections import Say, Section, say_nothing, section_tables
from .text_report import text_sections

LIBRARIES = ("torch", "torchvision", "faster-coco-eval", "numpy", "scipy", "shapely")
MOST_DETECTIONS = 100
"""Detections per image and class that count unless somebody says otherwise, as COCO has it."""


@dataclass(frozen=True)
class Report:
    """Scores of predictions on a dataset: `report["segm"]["AP"]` is a number, `print(report)` shows tables.

    Args:
        sections: The numbers of each rule, with those of each class.
        facts: What was scored, and how: `annotations`, counts of `images`, `objects` and `predictions`, `versions`,
            and what else somebody should know.
        results: The predictions.
        truth: The annotated objects they were compared with; None: these are not such as COCO has.
        max_detections: How many detections per image and class count.
    """

    sections: tuple[Section, ...]
    facts: Mapping[str, Any]
    results: Results
    truth: Annotations | None = field(default=None, repr=False)
    max_detections: int = MOST_DETECTIONS

    def __getitem__(self, name: str) -> dict[str, float | None]:
        return dict(self.section(name).numbers)

    def __contains__(self, name: object) -> bool:
        return any(section.name == name for section in self.sections)

    def __str__(self) -> str:
        console = Console(width=120, no_color=True)
        with console.capture() as shown:
            console.print(self.table())
        return shown.get()

    def section(self, name: str) -> Section:
        """The numbers of one rule, such as "bbox", "segm", "keypoints" or "accuracy".

        Raises:
            KeyError: It was not scored; the message lists what was.
        """
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(f"{name!r} was not scored, only {', '.join(section.name for section in self.sections)}")

    def per_class(self, name: str) -> dict[str, dict[str, float | None]]:
        """The numbers of each class by one rule; see `section`."""
        return {label: dict(numbers) for label, numbers in self.section(name).per_class.items()}

    def adding(self, sections: Sequence[Section] = (), **facts: Any) -> Report:
        """The report with more sections and facts."""
        return replace(self, sections=(*self.sections, *sections), facts={**self.facts, **facts})

    def table(self) -> Group:
        """What was scored and all its numbers, for `rich.print`."""
        remarks = [Text(remark, style="yellow") for remark in self.facts.get("remarks", ())]
        return Group(Text(self.title, style="bold"), *remarks, *section_tables(self.sections))

    @property
    def title(self) -> str:
        """What was scored, and how much of it."""
        nouns = {"images": "image", "objects": "object", "crowds": "crowd", "predictions": "prediction"}
        counts = [counted(self.facts[what], noun) for what, noun in nouns.items() if what in self.facts]
        named = [str(self.facts[what]) for what in ("benchmark", "split") if what in self.facts]
        about = f"{' '.join(named)}, {self.facts['annotations']}" if named else self.facts["annotations"]
        return f"{about}: {', '.join(counts)}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the facts, and under each section's name its numbers and those `per_class`; the `rules`."""
        return {**sections_report(self.sections), **self.facts}

    def write(self, path: Path | str) -> None:
        """Write the report as JSON, whole or not at all; missing folders are made."""
        write_report(path, self.to_dict())


def score_results(
    truth: Annotations,
    results: Results,
    *,
    iou_types: Sequence[IouType] | None = None,
    max_detections: int = MOST_DETECTIONS,
    threshold: Threshold | None = None,
    text: bool = False,
    say: Say = say_nothing,
) -> Report:
    """Score predictions in the ways that every dataset can be scored.

    Args:
        truth: The annotated objects.
        results: The predictions.
        iou_types: What is scored: "bbox", "segm", "keypoints"; None: what there is in the results, or without any in
            the annotations.
        max_detections: Most detections per image and class that count for average precision.
        threshold: From which score on masks count for instance accuracy; None: that is left out.
        text: Score the objects as words, too.
        say: Called with what is being scored.

    Returns:
        The sections `bbox`, `segm`, `keypoints` of COCO's numbers; `accuracy` by mask IoU; of text `mmocr`,
        `icdar2015`, `ctw1500`. Numbers are fractions, -1 where there is nothing to find.
    """
    iou_types = iou_types_to_score(truth, results) if iou_types is None else iou_types
    sections = coco_sections(truth, results, iou_types=iou_types, max_detections=max_detections, say=say)
    crowds = sum(bool(found["iscrowd"]) for found in truth.complete)
    facts: dict[str, Any] = {
        "annotations": truth.source,
        "images": len(truth.sizes),
        "objects": len(truth.objects) - crowds,
        **({"crowds": crowds} if crowds else {}),
        "predictions": len(results),
        "max_detections": max_detections,
        "versions": library_versions(),
        **({"remarks": truth.remarks} if truth.remarks else {}),
    }
    if threshold is not None and ("segm" in iou_types or text):
        facts |= {"score_threshold": threshold.score, "score_threshold_from": threshold.origin}
        if "segm" in iou_types:
            say("instance accuracy")
            sections.append(accuracy_section(truth, results, threshold.score))
        if text:
            sections += text_sections(truth, results, score_threshold=threshold.score, say=say)
    return Report(tuple(sections), facts, results, truth, max_detections)


def sections_report(sections: Sequence[Section]) -> dict[str, Any]:
    """What the JSON file holds of sections: under each one's name its numbers and those of its classes; the `rules`."""
    report: dict[str, Any] = {}
    for section in sections:
        classes = {label: dict(numbers) for label, numbers in section.per_class.items()}
        report[section.name] = {**section.numbers, **({"per_class": classes} if classes else {})}
    return {**report, "rules": {section.name: section.protocol for section in sections}}


def library_versions() -> dict[str, str]:
    """Versions of this library and of those that numbers depend on."""
    return {"maskrcnn": __version__, **{name: metadata.version(name) for name in LIBRARIES}}


def write_report(path: Path | str, report: Mapping[str, Any]) -> None:
    """Write scores as JSON that people can read, whole or not at all; missing folders are made."""
    write_json(path, report, indent=2)
