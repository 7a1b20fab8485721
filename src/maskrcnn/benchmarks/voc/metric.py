"""Average precision of boxes and masks as Pascal VOC's challenges and their followers compute it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ...evaluation.annotations import Annotations
from ...evaluation.results import IouType, Results
from ...evaluation.sections import Numbers, Say, Section, say_nothing

POINTS = np.concatenate([np.arange(6) * 0.1, 1 - np.arange(4, -1, -1) * 0.1])
"""Recalls of 2007's rule as MATLAB's `0:0.1:1` has them, which counts from both ends."""
POINTS_OF_NUMPY = np.arange(11) * 0.1
"""The same recalls in Python, where 0.6 and 0.7 are a little larger: a recall of 3 / 5 does not reach the seventh."""
MNC_THRESHOLDS = {"APr50": 0.5, "APr70": 0.7}
SDS_THRESHOLDS = {f"APr{10 * n}": 0.1 * n for n in range(1, 10)}
SDS_FIRST = ("APr50", "APr70", "APr_vol")
BOX_PROTOCOL = (
    "Pascal VOC (VOCevaldet.m): a detection goes to the object of its class that it overlaps most; right from an IoU "
    "of 0.5 on, unless that object was found before; difficult objects do not count; AP at 11 recalls (2007 to "
    "2009) and as the area under the curve (from 2010)"
)
SDS_PROTOCOL = (
    "AP^r of Hariharan et al. 2014 (SDS, generalized_det_eval.m): a detection goes to the free object of its class "
    "that its mask overlaps most; right above the IoU; area under the curve; vol is the mean over IoUs 0.1:0.1:0.9"
)
MNC_PROTOCOL = (
    "AP^r of MNC and FCIS (voc_eval_sds in Python): a detection goes to the object of its class that its mask overlaps "
    "most, found before or not; right from the IoU on; AP at 11 recalls"
)

Average = Callable[[np.ndarray, int], float]
"""AP of matches [D] (True: right) by falling score, and of so many objects."""


@dataclass(frozen=True)
class _Class:
    """The detections of one class, the best first, and the objects.

    Args:
        images: D image ids.
        overlaps: D arrays, the IoUs with each object of the class in the detection's image.
        difficult: By image id, whether each of these objects need not be found.
        positives: How many objects are to be found.
    """

    images: list[int]
    overlaps: list[np.ndarray]
    difficult: Mapping[int, list[bool]]
    positives: int


def voc_box_section(truth: Annotations, results: Results, *, eleven_points: bool, say: Say = say_nothing) -> Section:
    """Score boxes as the development kits do.

    Boxes are continuous: `xmin` 1 and `xmax` 10 of VOC are x 0 and width 10, so that no 1 has to be added to sides. The
    kits count an IoU of exactly 0.5 as found, unlike the well-known Python version.

    Args:
        truth: Objects with `bbox`, and `difficult` where they need not be found.
        results: With `bbox`; may be empty.
        eleven_points: Which of the two APs comes first: 2007's.
        say: Called with the class that is being scored.
    """
    averages: dict[str, Average] = {"AP50 (11 points)": _eleven_points, "AP50 (area)": _area}
    if not eleven_points:
        averages = dict(reversed(averages.items()))
    rows: dict[str, Numbers] = {}
    for name, found in _classes(truth, results, "bbox"):
        say(f"boxes: {name}")
        right = devkit_matches(found.images, found.overlaps, found.difficult, 0.5)
        rows[name] = {key: _or_none(average, right, found.positives) for key, average in averages.items()}
        rows[name] = {**rows[name], "recall": _or_none(_recall, right, found.positives)}
    return Section("bbox", "boxes", BOX_PROTOCOL, _means(rows, [*averages, "recall"]), rows)


def voc_mask_sections(truth: Annotations, results: Results, *, say: Say = say_nothing) -> list[Section]:
    """Score masks by the two rules that papers use on Pascal VOC.

    Args:
        truth: Objects with `segmentation`; all are to be found.
        results: With `segmentation`; may be empty.
        say: Called with the class that is being scored.

    Returns:
        Sections "sds", with APr50, APr70, APr_vol (rows of classes have these) and the others up to APr90, and "mnc"
        with APr50 and APr70.

    Raises:
        DataError: An object cannot be used.
    """
    sds: dict[str, Numbers] = {}
    mnc: dict[str, Numbers] = {}
    for name, found in _classes(truth, results, "segm"):
        say(f"masks: {name}")
        row = {
            key: _or_none(_area, sds_matches(found.images, found.overlaps, threshold), found.positives)
            for key, threshold in SDS_THRESHOLDS.items()
        }
        volume = float(np.mean(list(row.values()))) if found.positives else None
        sds[name] = {"APr50": row["APr50"], "APr70": row["APr70"], "APr_vol": volume, **row}
        mnc[name] = {
            key: _or_none(
                partial(_eleven_points, points=POINTS_OF_NUMPY),
                devkit_matches(found.images, found.overlaps, found.difficult, threshold),
                found.positives,
            )
            for key, threshold in MNC_THRESHOLDS.items()
        }
    first = {name: {key: row[key] for key in SDS_FIRST} for name, row in sds.items()}
    return [
        Section("sds", "masks (SDS)", SDS_PROTOCOL, _means(sds, [*SDS_FIRST, *SDS_THRESHOLDS]), first),
        Section("mnc", "masks (MNC)", MNC_PROTOCOL, _means(mnc, [*MNC_THRESHOLDS]), mnc),
    ]


def devkit_matches(
    images: Sequence[int], overlaps: Sequence[np.ndarray], difficult: Mapping[int, Sequence[bool]], threshold: float
) -> np.ndarray:
    """Which detections are right, where each goes to the object it overlaps most.

    Args:
        images: D image ids, the best detection first.
        overlaps: D arrays, the IoUs with each object in the detection's image.
        difficult: By image id, whether each of these objects need not be found.
        threshold: Least IoU of a right one.

    Returns:
        [at most D] bool, without the detections that go to a difficult object.
    """
    used = set()
    right = []
    for image, ious in zip(images, overlaps, strict=True):
        best = int(ious.argmax()) if len(ious) else -1
        if best < 0 or ious[best] < threshold:
            right.append(False)
        elif not difficult[image][best]:
            right.append((image, best) not in used)
            used.add((image, best))
    return np.array(right, dtype=bool)


def sds_matches(images: Sequence[int], overlaps: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """[D] bool: which detections are right, where each goes to the free object it overlaps most; see `devkit_matches`.

    Args:
        images: D image ids, the best detection first.
        overlaps: D arrays, the IoUs with each object in the detection's image.
        threshold: A right one has a larger IoU.
    """
    free: dict[int, np.ndarray] = {}
    right = np.zeros(len(images), dtype=bool)
    for place, (image, ious) in enumerate(zip(images, overlaps, strict=True)):
        if not len(ious) or ious.max() <= threshold:
            continue
        if image not in free:
            free[image] = np.ones(len(ious), dtype=bool)
        left = np.where(free[image], ious, -1.0)
        if left.max() > threshold:
            right[place] = True
            free[image][left.argmax()] = False
    return right


def _classes(truth: Annotations, results: Results, iou_type: IouType) -> Iterator[tuple[str, _Class]]:
    """Each class by its name; where scores are equal, boxes stay in the given order, masks in that of the images."""
    records = results.of_type(iou_type)
    if iou_type == "segm":
        records.sort(key=lambda record: record["image_id"])
    records.sort(key=lambda record: -record["score"])
    regions = truth.masks if iou_type == "segm" else [found["bbox"] for found in truth.complete]
    objects: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, found in enumerate(truth.objects):
        objects[found["category_id"]][found["image_id"]].append(place)
    detections: dict[int, list[dict]] = defaultdict(list)
    for record in records:
        detections[record["category_id"]].append(record)
    for category, name in sorted(truth.categories.items()):
        places = objects[category]
        difficult = {
            image_id: [bool(truth.objects[place].get("difficult")) for place in here]
            for image_id, here in places.items()
        }
        overlaps = [
            _overlaps(record, [regions[place] for place in places.get(record["image_id"], [])], iou_type)
            for record in detections[category]
        ]
        positives = sum(not each for here in difficult.values() for each in here)
        yield name, _Class([record["image_id"] for record in detections[category]], overlaps, difficult, positives)


def _overlaps(record: dict, objects: list, iou_type: IouType) -> np.ndarray:
    if not objects:
        return np.zeros(0)
    return coco_mask.iou([record["bbox" if iou_type == "bbox" else "segmentation"]], objects, [0] * len(objects))[0]


def _area(right: np.ndarray, objects: int) -> float:
    """Area under the curve of the best precision at each recall or a higher one (VOCap.m from 2010 on)."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(np.maximum.accumulate(precision[::-1])[::-1][right].sum() / objects)


def _eleven_points(right: np.ndarray, objects: int, points: np.ndarray = POINTS) -> float:
    """Mean over eleven recalls of the best precision at that recall or a higher one (VOCap.m up to 2009)."""
    found = np.cumsum(right)
    precision, recall = found / np.arange(1, len(right) + 1), found / objects
    return float(sum(precision[recall >= point].max(initial=0) for point in points) / len(points))


def _recall(right: np.ndarray, objects: int) -> float:
    return float(right.sum() / objects)


def _or_none(average: Average, right: np.ndarray, objects: int) -> float | None:
    return average(right, objects) if objects else None


def _means(rows: Mapping[str, Numbers], names: Sequence[str]) -> dict[str, float | None]:
    """Means over the classes that have objects."""
    known = {name: [row[name] for row in rows.values() if row[name] is not None] for name in names}
    return {name: float(np.mean(values)) if values else None for name, values in known.items()}  # type: ignore[arg-type]
