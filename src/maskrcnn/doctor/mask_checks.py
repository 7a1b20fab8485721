"""Masks and keypoints that are missing, that cannot be learned, or that contradict their box."""

from collections.abc import Iterator

import numpy as np

from .findings import Finding, by_share, counted, share
from .objects import ObjectTable

SLACK = (2.0, 0.1)
"""Pixels, and part of the side, by which a box may differ from its mask on each side: the larger of both."""
LEAST_SIDE = 5
"""Pixels: smaller masks are rectangles by nature."""
MANY_BOXES = 0.5
SOME_BOXES = 0.1
MANY_CROSSING = 0.05
KEYPOINT_SLACK = 0.1
"""Part of the box's longer side by which a keypoint may lie outside of it."""
MANY = 0.1
"""Share of objects: hidden limbs outside of what can be seen are usual."""


def find_in_masks(table: ObjectTable) -> list[Finding]:
    """What is wrong with the masks of a split."""
    return [*_missing(table), *_empty(table), *_only_boxes(table), *_disagreeing(table), *_crossing(table)]


def _missing(table: ObjectTable) -> Iterator[Finding]:
    missing = table.split.data.without_mask
    if missing:
        every = missing == len(table)
        yield Finding(
            "warning",
            "missing-masks",
            f"{table.split.name}: {share(missing, len(table))} objects have a box but no mask; the box stands in for "
            "it.",
            "Train boxes alone, or draw the masks: a mask head learns to fill its box."
            if every
            else "Draw the masks that are missing: the mask head learns to fill these boxes.",
            missing,
            settings=("mask_head=null",) if every else (),
        )


def _empty(table: ObjectTable) -> Iterator[Finding]:
    empty = np.flatnonzero(table.areas == 0)
    if len(empty):
        yield Finding(
            "warning",
            "empty-masks",
            f"{table.split.name}: {share(len(empty), len(table))} masks have no pixel in their image: too thin, or "
            "outside.",
            "Training leaves them out, scoring counts them as missed. Redraw or delete them.",
            len(empty),
            table.examples(empty),
        )


def _only_boxes(table: ObjectTable) -> Iterator[Finding]:
    sides = table.windows[:, 2:] - table.windows[:, :2]
    judged = (sides.min(axis=1) >= LEAST_SIDE) & ~table.crowd if len(table) else np.zeros(0, dtype=bool)
    full = np.flatnonzero(judged & (table.areas == sides.prod(axis=1)))
    part = len(full) / max(1, int(judged.sum()))
    if part <= SOME_BOXES or table.split.data.without_mask == len(table):
        return
    yield Finding(
        "warning" if part > MANY_BOXES else "note",
        "rectangular-masks",
        f"{table.split.name}: {share(len(full), int(judged.sum()))} masks of {LEAST_SIDE} px a side and more are "
        "upright rectangles.",
        "Right for things that are rectangles. If they were made of boxes, masks teach nothing that boxes do not: "
        "train boxes alone with `mask_head=null`.",
        len(full),
        table.examples(full),
    )


def _disagreeing(table: ObjectTable) -> Iterator[Finding]:
    height, width = table.sizes[:, :1], table.sizes[:, 1:]
    limits = np.concatenate([width, height, width, height], axis=1)
    inside = np.minimum(np.maximum(table.annotated, 0), limits)
    apart = np.abs(inside - table.windows)
    sides = np.tile(table.windows[:, 2:] - table.windows[:, :2], 2)
    wrong = np.flatnonzero((apart > np.maximum(SLACK[0], SLACK[1] * sides)).any(axis=1) & (table.areas > 0))
    if len(wrong):
        far = apart.max(axis=1)
        yield Finding(
            by_share(len(wrong), len(table)),
            "boxes-unlike-masks",
            f"{table.split.name}: {share(len(wrong), len(table))} boxes differ from the box around their mask by more "
            f"than {SLACK[0]:g} px and {SLACK[1]:.0%} of the side.",
            "Box and mask are learned and scored apart, so each is right or wrong by itself. Redraw them, or leave "
            "`bbox` out of the file, so that boxes are taken from the masks.",
            len(wrong),
            table.worst(wrong, far, "{:.0f} px apart"),
        )


def _crossing(table: ObjectTable) -> Iterator[Finding]:
    crossing = np.flatnonzero(table.crossing)
    if len(crossing):
        yield Finding(
            by_share(len(crossing), len(table), MANY_CROSSING),
            "crossing-polygons",
            f"{table.split.name}: {share(len(crossing), len(table))} polygons cross themselves.",
            "Programs differ in what is inside such a polygon. A few small loops do no harm; if whole objects look "
            "wrong, redraw them, or sort their points.",
            len(crossing),
            table.worst(crossing, table.areas),
        )


def find_in_keypoints(table: ObjectTable) -> list[Finding]:
    """What is wrong with the keypoints of a split; nothing where it has none."""
    if table.keypoints is None or not len(table):
        return []
    return [*_outside(table), *_never(table), *_without(table), *_unpaired(table)]


def _outside(table: ObjectTable) -> Iterator[Finding]:
    assert table.keypoints is not None
    points, given = table.keypoints[:, :, :2], table.keypoints[:, :, 2] > 0
    low, high = table.boxes[:, None, :2] - points, points - table.boxes[:, None, 2:]
    far = np.where(given, np.concatenate([low, high], axis=2).max(axis=2), -np.inf).max(axis=1)
    out = np.flatnonzero(far > np.maximum(2.0, KEYPOINT_SLACK * table.sides.max(axis=1)))
    if len(out):
        yield Finding(
            by_share(len(out), len(table), MANY),
            "keypoints-outside",
            f"{table.split.name}: {share(len(out), len(table))} objects have a keypoint more than "
            f"{KEYPOINT_SLACK:.0%} of the box's longer side outside their box.",
            "A keypoint outside its box cannot be learned. Check whether box and keypoints are of the same object, and "
            "whether keypoints that are not annotated are 0, 0, 0.",
            len(out),
            table.worst(out, far, "{:.0f} px outside"),
        )


def _never(table: ObjectTable) -> Iterator[Finding]:
    keypoint_schema = table.split.data.classes.keypoint_schema
    assert table.keypoints is not None
    assert keypoint_schema is not None
    given = (table.keypoints[:, :, 2] > 0).sum(axis=0)
    never = [name for name, count in zip(keypoint_schema.names, given.tolist(), strict=True) if count == 0]
    if never and given.any():
        yield Finding(
            "warning",
            "unused-keypoints",
            f"{table.split.name}: {share(len(never), len(keypoint_schema))} keypoints are annotated on no object: "
            f"{', '.join(never)}.",
            "Take them out of the category, or annotate some.",
            len(never),
        )


def _without(table: ObjectTable) -> Iterator[Finding]:
    assert table.keypoints is not None
    without = np.flatnonzero((table.keypoints[:, :, 2] == 0).all(axis=1) & ~table.crowd)
    if not len(without):
        return
    every = len(without) == int((~table.crowd).sum())
    yield Finding(
        "warning" if every else "note",
        "without-keypoints",
        f"{table.split.name}: {share(len(without), len(table))} objects have no annotated keypoint.",
        "There is nothing for a keypoint head to learn: take the keypoints out of the categories."
        if every
        else "Small and hidden objects often have none; their boxes and masks are learned, their keypoints not.",
        len(without),
        table.examples(without),
    )


def _unpaired(table: ObjectTable) -> Iterator[Finding]:
    keypoint_schema = table.split.data.classes.keypoint_schema
    assert keypoint_schema is not None
    sided = [name for name in keypoint_schema.names if "left" in name.casefold() or "right" in name.casefold()]
    paired = {keypoint_schema.names[place] for pair in keypoint_schema.flip_pairs for place in pair}
    alone = [name for name in sided if name not in paired]
    if alone:
        yield Finding(
            "warning",
            "unpaired-keypoints",
            f"{table.split.name}: {counted(len(alone), 'keypoint')} of a left or right side without a partner: "
            f"{', '.join(alone)}.",
            "In flipped images they would be on the wrong side. Add `flip_pairs` to the category, or train without "
            "flipped images.",
            len(alone),
            settings=("augment.horizontal_flip=0",),
        )
