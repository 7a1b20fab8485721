"""Instance segmentation of BDD100K by both official routes, which do not give the same numbers.

The RLE route is the reported one: `scalabel/eval/ins_seg.py`, which `bdd100k.eval.run` calls for JSON files. It is
COCO's evaluation of masks in which objects that are crowds or ignored need not be found, and all predictions of a
image count nothing if two of them overlap. The bitmask route is in `bdd100k_bitmasks.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from ...evaluation.annotations import Annotations
from ...evaluation.coco import AREAS, Curves, coco_sections, none_where_undefined, scores_of
from ...evaluation.panoptic_quality import best_first, paint_label_map
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing
from ...structures.regions import find_regions

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
LIMITS = (1, 10, 100)
RULE = (
    "AP and AR at mask IoU 0.50:0.05:0.95, at most 100 detections per image and class; only ignored objects need not "
    "be found, crowds take several detections (bdd100k on bitmasks)"
)
RLE_RULE = (
    "COCO AP and AR at mask IoU 0.50:0.05:0.95, at most 100 detections per image and class; crowds and ignored "
    "objects need not be found; images with overlapping predictions have none (scalabel, the reported route)"
)


class _Matched(NamedTuple):
    """Detections and objects of one class in one image, the best score first.

    Args:
        scores: [D].
        partners: [T, D] places of the objects that were taken, -1: none.
        areas: [D] in pixels.
        object_areas: [G] in pixels.
        ignored: [G] whether it need not be found.
    """

    scores: np.ndarray
    partners: np.ndarray
    areas: np.ndarray
    object_areas: np.ndarray
    ignored: np.ndarray


def bitmask_section(truth: Annotations, results: Results, say: Say) -> Section:
    """Numbers of the bitmask route; None where there is nothing to find.

    Args:
        truth: Objects with `attributes` `crowd` and `ignored`.
        results: Masks that do not overlap; those without a pixel are left out.
        say: Called with what is being done.
    """
    objects = defaultdict(list)
    for one, mask in zip(truth.objects, truth.masks, strict=True):
        objects[one["image_id"]].append((one, mask))
    classes: dict[int, list[_Matched]] = {category: [] for category in sorted(truth.categories)}
    for number, image_id in enumerate(sorted(truth.sizes), start=1):
        if number % 100 == 0:
            say(f"masks, bitmask route: image {number} of {len(truth.sizes)}")
        for category, matched in _match_image(objects[image_id], results.by_image.get(image_id, [])).items():
            classes[category].append(matched)
    curves = [[_curves(matched, limits) for limits in AREAS.values()] for matched in classes.values()]
    shape = (0, len(AREAS), len(THRESHOLDS), len(RECALLS), len(LIMITS))
    precision = np.array([[area[0] for area in areas] for areas in curves]).reshape(-1, *shape[1:])
    recall = np.array([[area[1] for area in areas] for areas in curves]).reshape(-1, *shape[1:3], shape[4])
    layout = Curves(precision.transpose(2, 3, 0, 1, 4), recall.transpose(2, 0, 1, 3), THRESHOLDS)
    scores = scores_of(layout, truth, LIMITS, list(AREAS))
    per_class = {name: none_where_undefined(row) for name, row in scores.per_class.items()}
    return Section("bitmask", "masks, bitmask route", RULE, none_where_undefined(scores.numbers), per_class)


def _match_image(objects: list[tuple[dict, dict]], records: list[dict]) -> dict[int, _Matched]:
    """What each class of an image has."""
    masks = [record["segmentation"] for record in records]
    areas = coco_mask.area(masks) if masks else np.zeros(0)
    order = [i for i in sorted(range(len(records)), key=lambda i: -records[i]["score"]) if areas[i]]
    needed, seen = [mask for _, mask in objects], [masks[i] for i in order]
    object_areas = np.array(coco_mask.area(needed) if needed else [], dtype=float)
    ious = np.zeros((len(order), len(objects)))
    if ious.size:
        ious[:] = coco_mask.iou(seen, needed, [0] * len(objects))
    categories = np.array([found["category_id"] for found, _ in objects], dtype=np.int64)
    predicted = np.array([records[i]["category_id"] for i in order], dtype=np.int64)
    crowd, ignored = (
        np.array([bool(found.get("attributes", {}).get(name)) for found, _ in objects], dtype=bool)
        for name in ("crowd", "ignored")
    )
    scores = np.array([records[i]["score"] for i in order], dtype=float)
    matched = {}
    for category in np.union1d(categories, predicted).tolist():
        rows, columns = predicted == category, categories == category
        partners = _partners(ious[np.ix_(rows, columns)], crowd[columns])
        sizes = np.array(areas, dtype=float)[order][rows]
        matched[category] = _Matched(scores[rows], partners, sizes, object_areas[columns], ignored[columns])
    return matched


def _partners(ious: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """[T, D] objects that detections take, each the one it fits best among those that are free; -1: none fits."""
    partners = np.full((len(THRESHOLDS), len(ious)), -1)
    if not ious.size:
        return partners
    free = np.repeat(ious[None], len(THRESHOLDS), axis=0)
    steps = np.arange(len(THRESHOLDS))
    for detection in range(len(ious)):
        best = free[:, detection].argmax(axis=1)
        fits = free[steps, detection, best] >= THRESHOLDS
        partners[fits, detection] = best[fits]
        taken = fits & ~crowd[best]
        free[steps[taken], :, best[taken]] = 0
    return partners


def _curves(images: Sequence[_Matched], area: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """[T, R, M] precisions and [T, M] recalls of one class and range of areas; -1 where there is nothing to find."""
    shape = (len(THRESHOLDS), len(RECALLS), len(LIMITS))
    precision, recall = np.full(shape, -1.0), np.full((shape[0], shape[2]), -1.0)
    optional = [one.ignored | (one.object_areas < area[0]) | (one.object_areas > area[1]) for one in images]
    objects = sum(int((~one).sum()) for one in optional)
    if not objects:
        return precision, recall
    counted = [_counted(one, skip, area) for one, skip in zip(images, optional, strict=True)]
    for place, limit in enumerate(LIMITS):
        scores = np.concatenate([one.scores[:limit] for one in images])
        order = np.argsort(-scores, kind="stable")
        right, wrong = (
            np.concatenate([found[which][:, :limit] for found in counted], axis=1)[:, order].cumsum(axis=1)
            for which in (0, 1)
        )
        precision[..., place], recall[:, place] = _sampled(right, wrong, objects)
    return precision, recall


def _counted(one: _Matched, optional: np.ndarray, area: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """[T, D] right and wrong detections; those that took an object that need not be found are neither."""
    matched = one.partners >= 0
    skipped = matched & np.append(optional, False)[one.partners]
    skipped |= ~matched & ((one.areas < area[0]) | (one.areas > area[1]))
    return matched & ~skipped, ~matched & ~skipped


def _sampled(right: np.ndarray, wrong: np.ndarray, objects: int) -> tuple[np.ndarray, np.ndarray]:
    """[T, R] best precisions at recalls of 0 to 1 or higher ones, and [T] last recalls, of [T, N] counts."""
    precision = right / (right + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    sampled = np.zeros((len(right), len(RECALLS)))
    for step, recalls in enumerate(right / objects):
        places = np.searchsorted(recalls, RECALLS, side="left")
        reached = places < len(recalls)
        sampled[step, reached] = precision[step, places[reached]]
    return sampled, (right[:, -1] / objects if right.shape[1] else np.zeros(len(right)))


def bdd100k_sections(truth: Annotations, results: Results, say: Say = say_nothing) -> list[Section]:
    """Score predicted masks by both routes.

    Args:
        truth: Objects with `iscrowd` for crowds and ignored ones, and `attributes` that tell these apart.
        results: Those without a mask are left out; of one image they should not overlap (see `separate_objects`).
        say: Called with what is being done.
    """
    truth = replace(truth, objects=[found for found in truth.objects if found.get("segmentation")])
    masks = results.with_field("segm")
    return [rle_section(truth, masks, say), bitmask_section(truth, masks, say)]


def rle_section(truth: Annotations, results: Results, say: Say = say_nothing) -> Section:
    """Numbers of the RLE route; None where there is nothing to find. Arguments as for `bdd100k_sections`."""
    say("looking for overlaps")
    overlapping = overlapping_images(results)
    kept = results.where(lambda record: record["image_id"] not in overlapping)
    section = coco_sections(truth, kept, iou_types=("segm",), say=say)[0]
    numbers = none_where_undefined(section.numbers)
    rows = {name: none_where_undefined(row) for name, row in section.per_class.items()}
    if not kept:  # the official code then gives 0 for all that is annotated, also where there is nothing to find
        annotated = {truth.categories[found["category_id"]] for found in truth.objects}
        numbers = dict.fromkeys(numbers, 0.0 if annotated else None)
        rows = {name: dict.fromkeys(row, 0.0 if name in annotated else None) for name, row in rows.items()}
    return Section("rle", "masks, RLE route", RLE_RULE, numbers, rows)


def overlapping_images(results: Results) -> set[int]:
    """Images in which two predicted masks have a pixel in common."""
    masks = {key: [record["segmentation"] for record in found] for key, found in results.by_image.items()}
    return {
        image_id
        for image_id, found in masks.items()
        if len(found) > 1 and coco_mask.area(found).sum() > coco_mask.area(coco_mask.merge(found))
    }


def separate_objects(results: Results, truth: Annotations) -> Results:
    """Predictions painted image by image, the best first, so that masks do not overlap; hidden ones are left out.

    Args:
        results: Those without a mask are left out.
        truth: Gives the sizes of the images.

    Returns:
        Results without `bbox`, those of an image by falling score.
    """
    separate = []
    for image_id, found in results.by_image.items():
        ordered = best_first(found, score_threshold=0)
        painted = paint_label_map([record["segmentation"] for record in ordered], truth.sizes[image_id])
        for region in find_regions(painted):
            if region.value:
                record = ordered[region.value - 1]
                kept = {name: record[name] for name in ("image_id", "category_id", "score")}
                separate.append({**kept, "segmentation": region.rle()})
    return Results(tuple(separate), results.source)
