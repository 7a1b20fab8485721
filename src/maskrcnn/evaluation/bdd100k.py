"""Instance segmentation of BDD100K by both official routes, which do not give the same numbers.

The RLE route is the reported one: `scalabel/eval/ins_seg.py`, which `bdd100k.eval.run` calls for JSON files. It is
COCO's evaluation of masks in which objects that are crowds or ignored need not be found, and all predictions of a
picture count nothing if two of them overlap. The bitmask route is in `bdd100k_bitmasks.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from faster_coco_eval.core import mask as coco_mask

from ..structures.regions import find_regions
from .annotations import Annotations
from .bdd100k_bitmasks import bitmask_section, none_where_undefined
from .coco import coco_sections
from .label_maps import best_first, paint_label_map
from .results import checked_results
from .sections import Say, Section, say_nothing
from .segmentations import run_lengths

RLE_RULE = (
    "COCO AP and AR at mask IoU 0.50:0.05:0.95, at most 100 detections per picture and class; crowds and ignored "
    "objects need not be found; pictures with overlapping predictions have none (scalabel, the reported route)"
)


def bdd100k_sections(truth: Annotations, results: Sequence[dict], say: Say = say_nothing) -> list[Section]:
    """Score predicted masks by both routes.

    Args:
        truth: Objects with `iscrowd` for crowds and ignored ones, and `attributes` that tell these apart.
        results: COCO records with masks; of one picture they should not overlap (see `separate_objects`).
        say: Called with what is being done.
    """
    truth = replace(truth, objects=[found for found in truth.objects if found.get("segmentation")])
    records = [record for record in checked_results(results, truth) if record.get("segmentation") is not None]
    return [rle_section(truth, records, say), bitmask_section(truth, records, say)]


def rle_section(truth: Annotations, records: Sequence[dict], say: Say = say_nothing) -> Section:
    """Numbers of the RLE route; None where there is nothing to find. Arguments as for `bdd100k_sections`."""
    say("looking for overlaps")
    overlapping = overlapping_pictures(records, truth)
    kept = [record for record in records if record["image_id"] not in overlapping]
    section = coco_sections(truth, kept, kinds=("segm",), say=say)[0]
    numbers = none_where_undefined(section.numbers)
    rows = {name: none_where_undefined(row) for name, row in section.per_class.items()}
    if not kept:  # the official code then gives 0 for all that is annotated, also where there is nothing to find
        annotated = {truth.categories[found["category_id"]] for found in truth.objects}
        numbers = dict.fromkeys(numbers, 0.0 if annotated else None)
        rows = {name: dict.fromkeys(row, 0.0 if name in annotated else None) for name, row in rows.items()}
    return Section("rle", "masks, RLE route", RLE_RULE, numbers, rows)


def overlapping_pictures(records: Sequence[dict], truth: Annotations) -> set[int]:
    """Pictures in which two predicted masks have a pixel in common."""
    masks = defaultdict(list)
    for record in records:
        masks[record["image_id"]].append(run_lengths(record["segmentation"], truth.sizes[record["image_id"]]))
    return {
        image_id
        for image_id, found in masks.items()
        if len(found) > 1 and coco_mask.area(found).sum() > coco_mask.area(coco_mask.merge(found))
    }


def separate_objects(records: Sequence[dict], truth: Annotations) -> list[dict]:
    """Predictions painted picture by picture, the best first, so that masks do not overlap; hidden ones are left out.

    Args:
        records: Checked COCO records; those without a mask are left out.
        truth: Gives the sizes of the pictures.

    Returns:
        Records without `bbox`, those of a picture by falling score.
    """
    pictures = defaultdict(list)
    for record in records:
        pictures[record["image_id"]].append(record)
    separate = []
    for image_id, found in pictures.items():
        ordered = best_first(found, score_threshold=0)
        painted = paint_label_map([record["segmentation"] for record in ordered], truth.sizes[image_id])
        for region in find_regions(painted):
            if region.value:
                record = ordered[region.value - 1]
                kept = {name: record[name] for name in ("image_id", "category_id", "score")}
                separate.append({**kept, "segmentation": region.run_lengths()})
    return separate
