"""What lies behind the scores of a report: the kinds of errors, and the worst images, drawn into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from faster_coco_eval.core import mask as coco_mask
from rich.console import RenderableType
from torch import Tensor

from ..analysis.errors import analyze_errors, errors_report, errors_tables
from ..analysis.faults import CLASSIFICATION, FAULT_TITLES, FAULTS, find_faults
from ..analysis.worst import ImageErrors, describe_errors, worst_images, worst_report, worst_table
from ..data.dataset import Dataset, Record
from ..data.loading import read_record
from ..draw.error_pages import DrawnObjects, Entry, ErrorPage, draw_error_index, draw_error_page
from ..draw.images import write_image
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import comparable_iou_types
from ..evaluation.keypoints import keypoint_sigmas
from ..evaluation.report import Report
from ..evaluation.results import IouType, Results
from ..progress import Announce, counted, silently
from ..structures.annotated_masks import ObjectMasks
from ..structures.classes import PIXEL_MIDDLE
from ..structures.instances import Instances

NAMES: dict[str, str] = dict([("right", "right"), *FAULT_TITLES.items(), ("ignored", "need not be found")])
INDEX = "index.png"
LISTED, DRAWN = 10, 20
"""Worst images that are named where none are drawn, and that are drawn."""


@dataclass(frozen=True)
class AnalyzedReport:
    """What lies behind the scores.

    Args:
        tables: For the terminal.
        facts: For JSON: `errors` by IoU type, and `worst_images` with `image_id`, its `image`, the number of `errors`,
            `what` in words and the file of the `drawing`, as far as these are known.
    """

    tables: list[RenderableType]
    facts: dict[str, Any]


def analyze_report(
    report: Report,
    dataset: Callable[[], Dataset] | None = None,
    *,
    folder: Path | None = None,
    names: Mapping[int, str] = MappingProxyType({}),
    announce: Announce = silently,
) -> AnalyzedReport:
    """Find what kinds of errors cost, and the worst images; draw these.

    Args:
        report: Scores with their predictions and the annotated objects.
        dataset: Reads the images, to draw the worst into a folder.
        folder: Where they are drawn; None: nowhere.
        names: Of the images by their ids; others go by their ids, unless they are drawn.
        announce: Shows the progress.

    Raises:
        DataError: An image cannot be used.
    """
    truth, results = report.truth, report.results
    assert truth is not None, "these scores are not of objects such as COCO has"
    tables, errors = list[RenderableType](), dict[str, Any]()
    for iou_type in comparable_iou_types(truth, results):
        with announce("looking for errors", len(truth.sizes)) as advance:
            faults = find_faults(truth, results, iou_type, max_detections=report.max_detections, on_progress=advance)
        analyzed = analyze_errors(truth, faults)
        errors[iou_type] = errors_report(analyzed)
        tables.append(errors_tables(analyzed, iou_type))
    worst = worst_images(truth, faults, analyzed.score, LISTED if folder is None else DRAWN)
    listed = worst_report(truth, results, worst)
    if folder is not None:
        assert dataset is not None, "images can be drawn only from what reads them"
        data = dataset()
        names = {record.image_id: record.path.name for record in data.records}
        with announce("drawing", len(worst)) as advance:
            paths = write_error_images(
                folder, data, truth, results, worst, iou_type, analyzed.score, on_progress=advance
            )
        for one, path in zip(listed, paths, strict=True):
            one["drawing"] = str(path)
    for one in listed:
        if one["image_id"] in names:
            one["image"] = names[one["image_id"]]
    return AnalyzedReport([*tables, worst_table(listed, analyzed.score)], {"errors": errors, "worst_images": listed})


def write_error_images(
    folder: Path,
    data: Dataset,
    truth: Annotations,
    results: Results,
    worst: Sequence[ImageErrors],
    iou_type: IouType,
    score: float,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Draw each image with annotated objects beside predicted ones, and an index of them all.

    Args:
        folder: Where `index.png` and the images are written, numbered from the worst one on.
        data: Where the images are.
        truth, results: What is analyzed.
        worst: Of `worst_images`.
        iou_type: "bbox", "segm" or "keypoints": what is analyzed and drawn.
        score: Least score of the detections that are drawn.
        on_progress: Called after each image with 1.

    Returns:
        The files of the images.

    Raises:
        DataError: An image cannot be read, or the dataset does not have it.
    """
    records = {record.image_id: record for record in data.records}
    paths, entries = [], []
    for number, errors in enumerate(worst, start=1):
        if errors.image_id not in records:
            raise DataError(f"{data.source}: has no image {errors.image_id} to draw. Give the dataset that was scored.")
        page = _page(records[errors.image_id], truth, results, errors, iou_type, score)
        drawn = draw_error_page(page)
        paths.append(folder / f"{number:03d}-{records[errors.image_id].path.stem}.png")
        write_image(paths[-1], drawn)
        entries.append(Entry(drawn, f"{number}. {page.title}", page.words))
        if on_progress:
            on_progress(1)
    if entries:
        title = f"The {counted(len(entries), 'image')} with the most errors, detections from a score of {score:.2f}"
        write_image(folder / INDEX, draw_error_index(entries, title=title))
    return paths


def _page(
    record: Record, truth: Annotations, results: Results, errors: ImageErrors, iou_type: IouType, score: float
) -> ErrorPage:
    several = len(truth.categories) > 1
    return ErrorPage(
        title=record.path.name,
        words=f"{counted(errors.errors, 'error')}: {describe_errors(truth, results, errors)}",
        image=read_record(record, 3),
        annotated=_annotated(truth, errors, iou_type, several),
        predicted=_predicted(truth, results, errors, iou_type, several),
        headings=("annotated", f"predicted, score at least {score:.2f}"),
        names=NAMES,
        keypoint_schema=truth.keypoint_schema if iou_type == "keypoints" else None,
    )


def _annotated(truth: Annotations, errors: ImageErrors, iou_type: IouType, several: bool) -> DrawnObjects:
    """The annotated objects, each with what became of it."""
    places = [place for place, one in enumerate(truth.objects) if one["image_id"] == errors.image_id]
    became = dict.fromkeys(places, "ignored") | dict.fromkeys(errors.missed, "missed")
    for assigned, fault in reversed(list(zip(errors.assigned, errors.faults, strict=True))):
        if fault in ("classification", "localization") and became[assigned] != "right":
            became[assigned] = fault
        elif fault == "right":
            became[assigned] = "right"
    known = [{**truth.complete[place], **_shape(truth, place, iou_type)} for place in places]
    names = [truth.categories[one["category_id"]] if several else "" for one in known]
    return DrawnObjects(_instances(truth, known, errors.image_id, iou_type), [became[place] for place in places], names)


def _shape(truth: Annotations, place: int, iou_type: IouType) -> dict:
    if iou_type == "segm":
        return {"segmentation": truth.masks[place]}
    return {"keypoints": truth.objects[place].get("keypoints")} if iou_type == "keypoints" else {}


def _predicted(
    truth: Annotations, results: Results, errors: ImageErrors, iou_type: IouType, several: bool
) -> DrawnObjects:
    """The detections, each with what is wrong with it."""
    detections = [results[place] for place in errors.detections]
    texts = []
    for record, fault, assigned in zip(detections, errors.faults, errors.assigned, strict=True):
        name = truth.categories[record["category_id"]] if several else ""
        wrong = fault == FAULTS[CLASSIFICATION]
        is_really = f", is {truth.categories[truth.objects[assigned]['category_id']]}" if wrong else ""
        texts.append(f"{name} {record['score']:.2f}{is_really}".strip())
    return DrawnObjects(_instances(truth, detections, errors.image_id, iou_type), list(errors.faults), texts)


def _instances(truth: Annotations, records: Sequence[dict], image_id: int, iou_type: IouType) -> Instances:
    """COCO records, annotated or predicted, as objects that can be drawn."""
    size = truth.sizes[image_id]
    labels = torch.zeros(len(records), dtype=torch.int64)
    scores = torch.tensor([record["score"] for record in records]) if records and "score" in records[0] else None
    if iou_type == "bbox":
        return Instances(size, _boxes([record["bbox"] for record in records]), labels, scores)
    if iou_type == "segm":
        masks = [record["segmentation"] for record in records]
        boxes = _boxes([coco_mask.toBbox(mask).tolist() for mask in masks])
        return Instances(size, boxes, labels, scores, masks=ObjectMasks.of([_counts(mask) for mask in masks], size))
    boxes, keypoints = _boxes([_box_around(record) for record in records]), _keypoints(truth, records)
    return Instances(size, boxes, labels, scores, keypoints=keypoints)


def _counts(mask: dict) -> bytes:
    return mask["counts"].encode("ascii") if isinstance(mask["counts"], str) else mask["counts"]


def _boxes(boxes: list[list[float]]) -> Tensor:
    """[N, 4] x1, y1, x2, y2 of x, y, width, height."""
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def _box_around(record: dict) -> list[float]:
    if record.get("bbox") is not None:
        return record["bbox"]
    points = torch.tensor(record["keypoints"], dtype=torch.float32).reshape(-1, 3)[:, :2]
    low, high = points.amin(dim=0), points.amax(dim=0)
    return [*low.tolist(), *(high - low).tolist()]


def _keypoints(truth: Annotations, records: Sequence[dict]) -> Tensor:
    """[N, Kp, 3] in continuous pixels; objects without keypoints have none that is visible."""
    count = len(keypoint_sigmas(truth))
    points = [record.get("keypoints") or [0.0] * 3 * count for record in records]
    offset = torch.tensor([PIXEL_MIDDLE, PIXEL_MIDDLE, 0])
    return torch.tensor(points, dtype=torch.float32).reshape(-1, count, 3) + offset
