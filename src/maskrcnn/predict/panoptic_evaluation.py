"""Panoptic quality on a data set of one's own in COCO's panoptic format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.records import CocoData
from ..evaluate.panoptic_quality import PanopticTruth, panoptic_sections
from ..evaluate.sections import Say, Section, say_nothing
from .panoptic_files import checked_segments, panoptic_truth, read_panoptic_results


def has_segments(data: CocoData) -> bool:
    """Whether every pixel's segment is annotated in pictures of a data set."""
    return any(record.segments is not None for record in data.records)


def score_segments(data: CocoData, records: Sequence[dict], say: Say = say_nothing) -> list[Section]:
    """Score predicted segments.

    Args:
        data: One that `has_segments`; only its pictures count.
        records: COCO results with masks, as of `predict_records` with `segments`.
        say: As for `panoptic_sections`.

    Raises:
        DataError: As `panoptic_truth` and `checked_segments`.
    """
    image_ids = {record.image_id for record in data.records}
    assert data.coco is not None  # segments are scored by the list they were read from
    truth = panoptic_truth(data.source, data.coco, image_ids=image_ids)
    return panoptic_sections(truth, checked_segments(records, truth), say)


def score_saved_segments(
    file: Path, contents: Mapping[str, Any], results: Path, say: Say = say_nothing
) -> tuple[list[Section], list[dict]]:
    """Score segments that were saved; no picture is needed.

    Args:
        file: Annotated segments.
        contents: What it holds: of `parse_coco`.
        results: Predictions in COCO's panoptic format, or a list of COCO results.
        say: As for `panoptic_sections`.

    Returns:
        The scores, and the predictions as COCO results.

    Raises:
        DataError: As `panoptic_truth`, `read_panoptic_results` and `checked_segments`.
    """
    truth = panoptic_truth(file, contents)
    records = read_panoptic_results(results, picture_names(contents, truth))
    return panoptic_sections(truth, checked_segments(records, truth), say), records


def picture_names(contents: Mapping[str, Any], truth: PanopticTruth) -> dict[int, str]:
    """Names of the annotated pictures' files, without their endings, by their ids."""
    images = {image["id"]: image for image in contents["images"]}
    return {image_id: Path(images[image_id].get("file_name", str(image_id))).stem for image_id in truth.sizes}
