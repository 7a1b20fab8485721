"""Panoptic quality on a dataset of one's own in COCO's panoptic format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..evaluation.panoptic_quality import PanopticTruth, panoptic_sections
from ..evaluation.report import Report, library_versions
from ..evaluation.sections import Say, Section, say_nothing
from .panoptic_files import panoptic_truth, read_panoptic_results


def has_segments(data: Dataset) -> bool:
    """Whether every pixel's segment is annotated in images of a dataset."""
    return any(record.segments is not None for record in data.records)


def score_segments(data: Dataset, records: Sequence[dict], say: Say = say_nothing) -> list[Section]:
    """Score predicted segments.

    Args:
        data: One that `has_segments`; only its images count.
        records: As `to_segment_results` makes them.
        say: As for `panoptic_sections`.

    Raises:
        DataError: As `panoptic_truth` and `PanopticTruth.parse`.
    """
    image_ids = {record.image_id for record in data.records}
    assert data.coco is not None  # segments are scored by the list they were read from
    truth = panoptic_truth(data.source, data.coco, image_ids=image_ids)
    return panoptic_sections(truth, truth.parse(records), say)


def score_saved_segments(
    file: Path, contents: Mapping[str, Any], results: Path | str | Iterable[dict], say: Say = say_nothing
) -> Report:
    """Score segments that were saved; no image is needed.

    Args:
        file: Annotated segments.
        contents: What it holds: of `parse_coco`.
        results: Predictions in COCO's panoptic format, or a file or list of COCO results.
        say: As for `panoptic_sections`.

    Raises:
        DataError: As `panoptic_truth`, `read_panoptic_results` and `PanopticTruth.parse`.
    """
    truth = panoptic_truth(file, contents)
    if isinstance(results, str | Path):
        source, results = Path(results).name, read_panoptic_results(Path(results), image_names(contents, truth))
        found = truth.parse(results, source=source)
    else:
        found = truth.parse(results)
    annotated = contents.get("annotations", [])
    facts = {
        "annotations": file.name,
        "images": len(annotated),
        "objects": sum(len(one["segments_info"]) for one in annotated),
        "predictions": len(found),
        "versions": library_versions(),
    }
    return Report(tuple(panoptic_sections(truth, found, say)), facts, found)


def image_names(contents: Mapping[str, Any], truth: PanopticTruth) -> dict[int, str]:
    """Names of the annotated images' files, without their endings, by their ids."""
    images = {image["id"]: image for image in contents["images"]}
    return {image_id: Path(images[image_id].get("file_name", str(image_id))).stem for image_id in truth.sizes}
