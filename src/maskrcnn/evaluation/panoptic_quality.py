"""Panoptic quality (Kirillov et al. 2019, Panoptic segmentation), exactly as the official `panopticapi` and
cityscapesScripts' `evalPanopticSemanticLabeling.py` compute it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .annotations import Annotations, Size, rle_crop
from .coco import unique_names
from .results import Results
from .sections import Numbers, Say, Section, say_nothing

VOID = 0
"""Id of the pixels of an annotated map that are not labeled."""
HIGHEST_IDS = 2**24
CONFIDENT = 0.5
"""Score from which on detections become segments in Kirillov et al. 2019."""
PROTOCOL = (
    "PQ of segments at IoU above 0.5 as panopticapi; unlabeled pixels and crowds are left out; averaged over the "
    "classes that occur"
)


class SegmentClass(NamedTuple):
    """A class of segments: its name, and whether its segments are single things."""

    name: str
    is_thing: bool


@dataclass(frozen=True)
class PanopticTruth:
    """Annotated segments.

    Args:
        source: The file, for messages.
        sizes: (height, width) of each image by its id.
        classes: By category id, in the order of the file.
        read: Gives an image's map of ids, [h, w] integers below 2**24 with `VOID` where nothing is labeled, and its
            `segments_info`: id, category_id, area and iscrowd of each segment.
    """

    source: str
    sizes: Mapping[int, Size]
    classes: Mapping[int, SegmentClass]
    read: Callable[[int], tuple[np.ndarray, list[dict[str, Any]]]]

    def parse(self, records: Iterable[dict], *, source: str = "results") -> Results:
        """Predicted segments, checked as `Results.parse` does; each has a mask.

        Raises:
            DataError: A record cannot be used, or has no mask.
        """
        categories = {category: known.name for category, known in self.classes.items()}
        found = Results.parse(records, Annotations(self.source, dict(self.sizes), categories, []), source=source)
        found.require("segm")
        return found


@dataclass
class Tally:
    """Segments of one class.

    Args:
        iou: Sum over the matched pairs.
        right: Matched pairs.
        wrong: Predicted segments without a match.
        missed: Annotated segments without one.
    """

    iou: float = 0.0
    right: int = 0
    wrong: int = 0
    missed: int = 0

    def quality(self) -> dict[str, float] | None:
        """PQ, SQ and RQ; None if the class occurs neither in the annotations nor in the predictions."""
        weight = self.right + 0.5 * self.wrong + 0.5 * self.missed
        if weight == 0:
            return None
        return {"PQ": self.iou / weight, "SQ": self.iou / self.right if self.right else 0.0, "RQ": self.right / weight}


def panoptic_sections(
    truth: PanopticTruth, results: Results, say: Say = say_nothing, *, things_only: bool = False
) -> list[Section]:
    """Score segments.

    Masks are painted by falling score, each on the pixels that are still free; segments do not overlap and stay as they
    are. Where some scores are below 0.5, as those of a detector's objects are, a second section leaves these out.

    Args:
        truth: Annotated segments.
        results: Of `PanopticTruth.parse`.
        say: Called with the image that is scored.
        things_only: Leave the numbers of stuff, and those that need them, out.
    """
    thresholds = [0.0, CONFIDENT] if any(record["score"] < CONFIDENT for record in results) else [0.0]
    counted = count_segments(truth, results, score_thresholds=thresholds, say=say)
    return [
        _section(truth.classes, tallies, threshold, things_only)
        for threshold, tallies in zip(thresholds, counted, strict=True)
    ]


def _section(
    classes: Mapping[int, SegmentClass], tallies: Mapping[int, Tally], score_threshold: float, things_only: bool
) -> Section:
    names = unique_names({category: known.name for category, known in classes.items()})
    per_class: dict[str, Numbers] = {
        names[category]: tallies[category].quality() or dict.fromkeys(("PQ", "SQ", "RQ"))
        for category, known in classes.items()
        if known.is_thing or not things_only
    }
    return Section(
        "panoptic_confident" if score_threshold else "panoptic",
        f"segments from {score_threshold:g}" if score_threshold else "segments",
        PROTOCOL + (f"; predictions with a score of at least {score_threshold:g}" if score_threshold else ""),
        panoptic_numbers(classes, tallies, things_only=things_only),
        per_class,
    )


def panoptic_numbers(
    classes: Mapping[int, SegmentClass], tallies: Mapping[int, Tally], *, things_only: bool = False
) -> dict[str, float | None]:
    """PQ, SQ and RQ averaged over the classes that occur: over all, of things (`_th`) and of stuff (`_st`); None where
    no such class occurs."""
    groups = {"": (True, False), "_th": (True,), "_st": (False,)}
    if things_only:
        groups = {"_th": (True,)}
    numbers: dict[str, float | None] = {}
    for end, kinds in groups.items():
        chosen = [tallies[category].quality() for category, known in classes.items() if known.is_thing in kinds]
        found = [quality for quality in chosen if quality is not None]
        for name in ("PQ", "SQ", "RQ"):
            numbers[name + end] = sum(quality[name] for quality in found) / len(found) if found else None
    return numbers


def count_segments(
    truth: PanopticTruth, results: Results, *, score_thresholds: Sequence[float] = (0.0,), say: Say = say_nothing
) -> list[dict[int, Tally]]:
    """Matched and unmatched segments of each category, for each threshold.

    Args:
        truth, results, say: As for `panoptic_sections`.
        score_thresholds: Records with lower scores are left out.
    """
    counted = [{category: Tally() for category in truth.classes} for _ in score_thresholds]
    for number, (image_id, size) in enumerate(truth.sizes.items(), start=1):
        say(f"segments of image {number} of {len(truth.sizes)}")
        ids, segments = truth.read(image_id)
        for threshold, tallies in zip(score_thresholds, counted, strict=True):
            kept = best_first(results.by_image.get(image_id, []), score_threshold=threshold)
            painted = paint_label_map([record["segmentation"] for record in kept], size)
            _count(ids, segments, painted, [record["category_id"] for record in kept], tallies)
    return counted


def _count(
    ids: np.ndarray, segments: list[dict[str, Any]], painted: np.ndarray, labels: list[int], tallies: dict[int, Tally]
) -> None:
    """Add the segments of one image; `labels` are the categories of the values 1, 2, ... of `painted`."""
    void, shared = _overlaps(ids, [segment["id"] for segment in segments], painted, len(labels))
    sizes = np.bincount(painted.ravel(), minlength=len(labels) + 1)[1:]
    categories = np.array([segment["category_id"] for segment in segments], dtype=np.int64)
    crowd = np.array([segment["iscrowd"] == 1 for segment in segments], dtype=bool)
    areas = np.array([segment["area"] for segment in segments], dtype=np.int64)
    unions = areas[:, None] + sizes[None] - shared - void[None]
    same = (categories[:, None] == np.array(labels, dtype=np.int64)[None]) & ~crowd[:, None] & (shared > 0)
    ious = np.divide(shared, unions, out=np.zeros(shared.shape), where=same)
    fits = ious > 0.5
    for segment, predicted in np.argwhere(fits):
        tally = tallies[labels[predicted]]
        tally.right += 1
        tally.iou += float(ious[segment, predicted])
    for segment in np.flatnonzero(~fits.any(axis=1) & ~crowd):
        tallies[int(categories[segment])].missed += 1
    crowds = {int(categories[segment]): segment for segment in np.flatnonzero(crowd)}  # the last one of a class counts
    for predicted in np.flatnonzero(~fits.any(axis=0) & (sizes > 0)):
        ignored = void[predicted]
        if labels[predicted] in crowds:
            ignored = ignored + shared[crowds[labels[predicted]], predicted]
        if ignored / sizes[predicted] <= 0.5:
            tallies[labels[predicted]].wrong += 1


def _overlaps(ids: np.ndarray, known: list[int], painted: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """[P] pixels of each prediction that are not labeled, and [G, P] those that it shares with each known id."""
    codes = np.zeros(HIGHEST_IDS, dtype=np.uint16)  # memory is only taken where ids are
    codes[VOID] = 1
    codes[known] = np.arange(2, len(known) + 2)
    width = count + 1
    pairs = np.bincount((codes[ids].astype(np.int64) * width + painted).ravel(), minlength=(len(known) + 2) * width)
    table = pairs.reshape(len(known) + 2, width)[:, 1:]
    return table[1], table[2:]


def paint_label_map(masks: Sequence[dict], size: Size) -> np.ndarray:
    """Paint objects without overlap: a pixel belongs to the first of them that covers it.

    Args:
        masks: RLE of each object, the most important first.
        size: (height, width) of the image.

    Returns:
        [height, width] int32: 0 where no object is, i + 1 where object i is. An object that others cover wholly has no
        pixel.
    """
    painted = np.zeros(size, dtype=np.int32)
    for number, rle in enumerate(masks, start=1):
        x, y, bitmap = rle_crop(rle)
        window = painted[y : y + bitmap.shape[0], x : x + bitmap.shape[1]]
        window[bitmap & (window == 0)] = number
    return painted


def best_first(records: Sequence[dict], *, score_threshold: float) -> list[dict]:
    """Predicted masks in the order they are painted in.

    Args:
        records: COCO results of one image; those without a mask are left out.
        score_threshold: Records with at least this score are kept.

    Returns:
        Those kept by falling score; equal scores stay in the given order.
    """
    kept = [
        record for record in records if record.get("segmentation") is not None and record["score"] >= score_threshold
    ]
    return sorted(kept, key=lambda record: -record["score"])


def paint_images(
    results: Results, sizes: Mapping[int, Size], *, score_threshold: float
) -> Iterator[tuple[int, np.ndarray]]:
    """The predictions of each image painted without overlap, the best first.

    Args:
        results: Those without a mask are left out.
        sizes: (height, width) of the images by their ids.
        score_threshold: Predictions with at least this score are painted.

    Returns:
        Image id and label map of each image, in the order of `sizes`.
    """
    for image_id, size in sizes.items():
        kept = best_first(results.by_image.get(image_id, []), score_threshold=score_threshold)
        yield image_id, paint_label_map([record["segmentation"] for record in kept], size)
