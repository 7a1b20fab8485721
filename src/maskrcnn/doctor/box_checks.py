"""Suspicious boxes."""

from collections.abc import Iterator

import numpy as np

from .findings import Finding, by_share, share, some
from .objects import ObjectTable, Pairs

OUTSIDE = 1.0
"""Pixels a box may reach over the image's border: rounding does so."""
AT_BORDER = 0.5
"""Pixels from the border within which a box counts as touching it."""
CUT_SHARE = 0.3
SAME = 0.95
"""IoU from which two boxes are taken to be the same."""
SAME_AREA = 0.9
"""Smaller over larger mask from which two objects in the same box are taken to be the same."""
LONG = 10.0
"""Longer over shorter side."""
WHOLE = 0.95
"""Part of the image."""


def find_in_boxes(table: ObjectTable, pairs: Pairs) -> list[Finding]:
    """Boxes outside the image, cut, twice, very long, or as large as the image.

    Args:
        table: The objects of a split.
        pairs: Of `overlapping_pairs`, those of an IoU of `SAME` at least among them.
    """
    return [
        *_outside(table),
        *_at_border(table),
        *_twice(table, pairs.where(pairs.overlaps >= SAME)),
        *_long(table),
        *_whole(table),
    ]


def same_objects(table: ObjectTable, pairs: Pairs) -> np.ndarray:
    """[P] bool: pairs with the same class, (nearly) the same box and masks of the same size."""
    areas = np.stack([table.areas[pairs.first], table.areas[pairs.second]])
    alike = areas.min(axis=0) >= SAME_AREA * areas.max(axis=0)
    return (pairs.overlaps >= SAME) & alike & (table.labels[pairs.first] == table.labels[pairs.second])


def _outside(table: ObjectTable) -> Iterator[Finding]:
    reach = _reach(table.annotated, table.sizes)
    out = np.flatnonzero(reach > OUTSIDE)  # NaN is none
    if len(out):
        yield Finding(
            by_share(len(out), len(table)),
            "boxes-outside",
            f"{table.split.name}: {share(len(out), len(table))} boxes reach more than {OUTSIDE:g} px over the border "
            "of their image.",
            "They are cut at the border. If there are many, the sizes or the order of the numbers are wrong: COCO's "
            "boxes are x, y, width, height, in pixels.",
            len(out),
            table.worst(out, reach, "{:.1f} px outside"),
        )


def _at_border(table: ObjectTable) -> Iterator[Finding]:
    cut = np.flatnonzero((_reach(table.boxes, table.sizes) >= -AT_BORDER) & ~table.crowd)
    if len(cut) > CUT_SHARE * max(1, len(table)):
        yield Finding(
            "note",
            "cut-objects",
            f"{table.split.name}: {share(len(cut), len(table))} objects touch the border of their image, which cuts "
            "them.",
            "Usual for close-ups. Of tiles cut from larger images: let the tiles overlap by the size of an object, "
            "and keep an object in a tile only if most of it is there.",
            len(cut),
            table.examples(cut),
        )


def _twice(table: ObjectTable, pairs: Pairs) -> Iterator[Finding]:
    same_class = table.labels[pairs.first] == table.labels[pairs.second]
    twice = pairs.where(same_objects(table, pairs))
    if len(twice.first):
        yield Finding(
            by_share(len(twice.first), len(table)),
            "duplicate-objects",
            f"{table.split.name}: {share(len(np.unique(twice.second)), len(table))} objects are annotated twice: same "
            f"class, boxes with an IoU of {SAME} or more, masks of the same size.",
            "Delete one of each pair: one detection can match only one of them, the other counts as missed.",
            len(twice.first),
            some([table.example(int(j), f"as {table.split.ids[i]}") for i, j, _ in zip(*twice, strict=True)]),
        )
    other = pairs.where(~same_class)
    if len(other.first):
        names = table.split.data.classes.names
        yield Finding(
            by_share(len(other.first), len(table)),
            "two-classes",
            f"{table.split.name}: {share(len(np.unique(other.second)), len(table))} objects have the box of an object "
            f"of another class (IoU {SAME} or more).",
            "If it is one thing, decide for one class; a region belongs to one class when it is learned.",
            len(other.first),
            some(
                [
                    table.example(int(j), f"as {table.split.ids[i]} ({names[table.labels[i]]})")
                    for i, j, _ in zip(*other, strict=True)
                ]
            ),
        )


def _long(table: ObjectTable) -> Iterator[Finding]:
    sides = table.sides
    stretch = sides.max(axis=1) / sides.min(axis=1).clip(min=1e-9) if len(sides) else np.zeros(0)
    long = np.flatnonzero((stretch > LONG) & ~table.crowd)
    if len(long):
        worst = long[np.argsort(-stretch[long], kind="stable")]
        yield Finding(
            "note",
            "long-boxes",
            f"{table.split.name}: {share(len(long), len(table))} boxes are more than {LONG:g} times as long as wide.",
            "Few anchors come near them. Look at the longest: slips of the mouse are among them; if they are real and "
            "many, cut them into parts, or see the advice on ratios of anchors.",
            len(long),
            some([table.example(int(i), f"{sides[i, 0]:.1f} x {sides[i, 1]:.1f} px") for i in worst]),
        )


def _whole(table: ObjectTable) -> Iterator[Finding]:
    parts = table.sides.prod(axis=1) / table.sizes.prod(axis=1).clip(min=1)
    whole = np.flatnonzero((parts > WHOLE) & ~table.crowd)
    if len(whole):
        yield Finding(
            "note",
            "whole-image-boxes",
            f"{table.split.name}: {share(len(whole), len(table))} boxes fill more than {WHOLE:.0%} of their image.",
            "Look at them: an image of one thing, or a box that was never drawn.",
            len(whole),
            table.examples(whole),
        )


def _reach(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[N] how far each box reaches over the border; negative inside."""
    high = boxes[:, 2:] - sizes[:, ::-1]
    return np.concatenate([-boxes[:, :2], high], axis=1).max(axis=1) if len(boxes) else np.zeros(0)
