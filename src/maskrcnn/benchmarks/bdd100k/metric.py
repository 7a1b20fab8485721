"""Instance segmentation of BDD100K by both official routes, which do not give the same numbers.

The RLE route is the reported one: `scalabel/eval/ins_seg.py`, which `bdd100k.eval.run` calls for JSON files. It is
COCO's evaluation of masks in which objects that are crowds or ignored need not be found, and all predictions of a
image count nothing if two of them overlap. The bitmask route is in `bdd100k_bitmasks.py`.
"""

from __future__ import annotations

from dataclasses import replace

from faster_coco_eval.core import mask as coco_mask

from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.label_maps import best_first, paint_label_map
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing
from ...structures.regions import find_regions
from .bitmasks import bitmask_section, none_where_undefined

RLE_RULE = (
    "COCO AP and AR at mask IoU 0.50:0.05:0.95, at most 100 detections per image and class; crowds and ignored "
    "objects need not be found; images with overlapping predictions have none (scalabel, the reported route)"
)


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
    section = coco_sections(truth, kept, kinds=("segm",), say=say)[0]
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
