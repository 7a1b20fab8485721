"""Masks that are missing, that are only boxes, or that contradict their box."""

from collections.abc import Iterator

import numpy as np

from ...structures.findings import Finding, by_share, share
from .objects import ObjectTable

SLACK = (2.0, 0.1)
"""Pixels, and part of the side, by which a box may differ from its mask on each side: the larger of both."""
LEAST_SIDE = 5
"""Pixels: smaller masks are rectangles by nature."""
MANY_BOXES = 0.5
SOME_BOXES = 0.1
MANY_CROSSING = 0.05


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
            settings=("model.mask_head=null",) if every else (),
        )


def _empty(table: ObjectTable) -> Iterator[Finding]:
    empty = np.flatnonzero(table.areas == 0)
    if len(empty):
        yield Finding(
            "warning",
            "empty-masks",
            f"{table.split.name}: {share(len(empty), len(table))} masks have no pixel in their picture: too thin, or "
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
        "train boxes alone with `model.mask_head=null`.",
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
            "Box and mask are learnt and scored apart, so each is right or wrong by itself. Redraw them, or leave "
            "`bbox` out of the file, so that boxes are taken from the masks.",
            len(wrong),
            table.worst(wrong, far, "{:.0f} px apart"),
        )


def _crossing(table: ObjectTable) -> Iterator[Finding]:
    crossing = np.flatnonzero(table.crossing)
    if len(crossing):
        yield Finding(
            by_share(len(crossing), len(table), MANY_CROSSING),
            "crossing-outlines",
            f"{table.split.name}: {share(len(crossing), len(table))} outlines cross themselves.",
            "Programs differ in what is inside such an outline. A few small loops do no harm; if whole objects look "
            "wrong, redraw them, or sort their points.",
            len(crossing),
            table.worst(crossing, table.areas),
        )
