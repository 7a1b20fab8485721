"""Boxes, masks and keypoints that are missing, suspicious, cannot be trained on, or contradict each other."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..progress import counted
from .findings import Finding, about, by_share, some
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


def find_in_boxes(table: ObjectTable, pairs: Pairs) -> list[Finding]:
    """Boxes outside the image, cut, twice, very long, or as large as the image.

    Args:
        table: The objects of a split.
        pairs: Of `overlapping_pairs`, those of an IoU of `SAME` at least among them.
    """
    same = pairs.where(pairs.overlaps >= SAME)
    return [*_outside(table), *_at_border(table), *_twice(table, same), *_long(table), *_whole(table)]


def find_in_masks(table: ObjectTable) -> list[Finding]:
    """What is wrong with the masks of a split."""
    return [*_missing(table), *_empty(table), *_only_boxes(table), *_disagreeing(table), *_crossing(table)]


def find_in_keypoints(table: ObjectTable) -> list[Finding]:
    """What is wrong with the keypoints of a split; nothing where it has none."""
    if table.keypoints is None or not len(table):
        return []
    return [*_keypoints_outside(table), *_unused(table), *_without(table), *_unpaired(table)]


def same_objects(table: ObjectTable, pairs: Pairs) -> np.ndarray:
    """[P] bool: pairs with the same class, (nearly) the same box and masks of the same size."""
    areas = np.stack([table.areas[pairs.first], table.areas[pairs.second]])
    alike = areas.min(axis=0) >= SAME_AREA * areas.max(axis=0)
    return (pairs.overlaps >= SAME) & alike & (table.labels[pairs.first] == table.labels[pairs.second])


def _outside(table: ObjectTable) -> Iterator[Finding]:
    reach = _reach(table.annotated, table.sizes)
    out = np.flatnonzero(reach > OUTSIDE)  # NaN is none
    yield from table.about(
        out,
        "boxes-outside",
        f"boxes reach more than {OUTSIDE:g} px over the border of their image.",
        "They are cut at the border. If there are many, the sizes or the order of the numbers are wrong: COCO's boxes "
        "are x, y, width, height, in pixels.",
        examples=table.worst(out, reach, "{:.1f} px outside"),
    )


def _at_border(table: ObjectTable) -> Iterator[Finding]:
    cut = np.flatnonzero((_reach(table.boxes, table.sizes) >= -AT_BORDER) & ~table.crowd)
    if len(cut) > CUT_SHARE * max(1, len(table)):
        yield from table.about(
            cut,
            "cut-objects",
            "objects touch the border of their image, which cuts them.",
            "Usual for close-ups. Of tiles cut from larger images: let the tiles overlap by the size of an object, "
            "and keep an object in a tile only if most of it is there.",
            severity="note",
        )


def _twice(table: ObjectTable, pairs: Pairs) -> Iterator[Finding]:
    names, same_class = table.split.data.classes.names, table.labels[pairs.first] == table.labels[pairs.second]
    yield from _about_pairs(
        table,
        pairs.where(same_objects(table, pairs)),
        "duplicate-objects",
        f"objects are annotated twice: same class, boxes with an IoU of {SAME} or more, masks of the same size.",
        "Delete one of each pair: one detection can match only one of them, the other counts as missed.",
        lambda i: f"as {table.split.ids[i]}",
    )
    yield from _about_pairs(
        table,
        pairs.where(~same_class),
        "two-classes",
        f"objects have the box of an object of another class (IoU {SAME} or more).",
        "If it is one thing, decide for one class; in training a region belongs to one class.",
        lambda i: f"as {table.split.ids[i]} ({names[table.labels[i]]})",
    )


def _about_pairs(
    table: ObjectTable, pairs: Pairs, name: str, what: str, advice: str, partner: Callable[[int], str]
) -> Iterator[Finding]:
    """A finding about pairs of objects; each is shown by its second object, with words about the first."""
    shown = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    examples = some([table.example(j, partner(i)) for i, j in shown])
    severity = by_share(len(pairs.first), len(table))
    for finding in table.about(np.unique(pairs.second), name, what, advice, severity=severity, examples=examples):
        yield replace(finding, count=len(pairs.first))


def _long(table: ObjectTable) -> Iterator[Finding]:
    sides = table.sides
    stretch = sides.max(axis=1) / sides.min(axis=1).clip(min=1e-9) if len(sides) else np.zeros(0)
    long = np.flatnonzero((stretch > LONG) & ~table.crowd)
    worst = long[np.argsort(-stretch[long], kind="stable")]
    yield from table.about(
        long,
        "long-boxes",
        f"boxes are more than {LONG:g} times as long as wide.",
        "Few anchors come near them. Look at the longest: slips of the mouse are among them; if they are real and "
        "many, cut them into parts, or see the advice on ratios of anchors.",
        severity="note",
        examples=some([table.example(int(i), f"{sides[i, 0]:.1f} x {sides[i, 1]:.1f} px") for i in worst]),
    )


def _whole(table: ObjectTable) -> Iterator[Finding]:
    parts = table.sides.prod(axis=1) / table.sizes.prod(axis=1).clip(min=1)
    yield from table.about(
        np.flatnonzero((parts > WHOLE) & ~table.crowd),
        "whole-image-boxes",
        f"boxes fill more than {WHOLE:.0%} of their image.",
        "Look at them: an image of one thing, or a box that was never drawn.",
        severity="note",
    )


def _reach(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[N] how far each box reaches over the border; negative inside."""
    high = boxes[:, 2:] - sizes[:, ::-1]
    return np.concatenate([-boxes[:, :2], high], axis=1).max(axis=1) if len(boxes) else np.zeros(0)


def _missing(table: ObjectTable) -> Iterator[Finding]:
    missing = table.split.data.without_mask
    every = missing == len(table)
    yield from about(
        missing,
        len(table),
        table.split.name,
        "warning",
        "missing-masks",
        "objects have a box but no mask; the box stands in for it.",
        "Train boxes alone, or draw the masks: a mask head learns to fill its box."
        if every
        else "Draw the masks that are missing: the mask head learns to fill these boxes.",
        settings=("mask_head=null",) if every else (),
    )


def _empty(table: ObjectTable) -> Iterator[Finding]:
    yield from table.about(
        np.flatnonzero(table.areas == 0),
        "empty-masks",
        "masks have no pixel in their image: too thin, or outside.",
        "Training leaves them out, scoring counts them as missed. Redraw or delete them.",
        severity="warning",
    )


def _only_boxes(table: ObjectTable) -> Iterator[Finding]:
    sides = table.windows[:, 2:] - table.windows[:, :2]
    large = (sides.min(axis=1) >= LEAST_SIDE) & ~table.crowd if len(table) else np.zeros(0, dtype=bool)
    full = np.flatnonzero(large & (table.areas == sides.prod(axis=1)))
    part = len(full) / max(1, int(large.sum()))
    if part <= SOME_BOXES or table.split.data.without_mask == len(table):
        return
    yield from about(
        len(full),
        int(large.sum()),
        table.split.name,
        "warning" if part > MANY_BOXES else "note",
        "rectangular-masks",
        f"masks of {LEAST_SIDE} px a side and more are upright rectangles.",
        "Right for things that are rectangles. If they were made of boxes, masks teach nothing that boxes do not: "
        "train boxes alone with `mask_head=null`.",
        table.examples(full),
    )


def _disagreeing(table: ObjectTable) -> Iterator[Finding]:
    height, width = table.sizes[:, :1], table.sizes[:, 1:]
    limits = np.concatenate([width, height, width, height], axis=1)
    inside = np.minimum(np.maximum(table.annotated, 0), limits)
    apart = np.abs(inside - table.windows)
    sides = np.tile(table.windows[:, 2:] - table.windows[:, :2], 2)
    wrong = np.flatnonzero((apart > np.maximum(SLACK[0], SLACK[1] * sides)).any(axis=1) & (table.areas > 0))
    yield from table.about(
        wrong,
        "boxes-unlike-masks",
        f"boxes differ from the box around their mask by more than {SLACK[0]:g} px and {SLACK[1]:.0%} of the side.",
        "Box and mask are trained and scored apart, so each is right or wrong by itself. Redraw them, or leave `bbox` "
        "out of the file, so that boxes are taken from the masks.",
        examples=table.worst(wrong, apart.max(axis=1), "{:.0f} px apart"),
    )


def _crossing(table: ObjectTable) -> Iterator[Finding]:
    crossing = np.flatnonzero(table.crossing)
    yield from table.about(
        crossing,
        "crossing-polygons",
        "polygons cross themselves.",
        "Programs differ in what is inside such a polygon. A few small loops do no harm; if whole objects look wrong, "
        "redraw them, or sort their points.",
        severity=by_share(len(crossing), len(table), MANY_CROSSING),
        examples=table.worst(crossing, table.areas),
    )


def _keypoints_outside(table: ObjectTable) -> Iterator[Finding]:
    assert table.keypoints is not None
    points, given = table.keypoints[:, :, :2], table.keypoints[:, :, 2] > 0
    low, high = table.boxes[:, None, :2] - points, points - table.boxes[:, None, 2:]
    far = np.where(given, np.concatenate([low, high], axis=2).max(axis=2), -np.inf).max(axis=1)
    out = np.flatnonzero(far > np.maximum(2.0, KEYPOINT_SLACK * table.sides.max(axis=1)))
    yield from table.about(
        out,
        "keypoints-outside",
        f"objects have a keypoint more than {KEYPOINT_SLACK:.0%} of the box's longer side outside their box.",
        "A keypoint outside its box cannot be trained on. Check whether box and keypoints are of the same object, and "
        "whether keypoints that are not annotated are 0, 0, 0.",
        severity=by_share(len(out), len(table), MANY),
        examples=table.worst(out, far, "{:.0f} px outside"),
    )


def _unused(table: ObjectTable) -> Iterator[Finding]:
    schema = table.split.data.classes.keypoint_schema
    assert table.keypoints is not None
    assert schema is not None
    given = (table.keypoints[:, :, 2] > 0).sum(axis=0)
    never = [name for name, count in zip(schema.names, given.tolist(), strict=True) if count == 0]
    if given.any():
        what = f"keypoints are annotated on no object: {', '.join(never)}."
        advice = "Take them out of the category, or annotate some."
        yield from about(len(never), len(schema), table.split.name, "warning", "unused-keypoints", what, advice)


def _without(table: ObjectTable) -> Iterator[Finding]:
    assert table.keypoints is not None
    without = np.flatnonzero((table.keypoints[:, :, 2] == 0).all(axis=1) & ~table.crowd)
    every = len(without) == int((~table.crowd).sum())
    yield from table.about(
        without,
        "without-keypoints",
        "objects have no annotated keypoint.",
        "There is nothing to train a keypoint head on: take the keypoints out of the categories."
        if every
        else "Small and hidden objects often have none; training uses their boxes and masks, not their keypoints.",
        severity="warning" if every else "note",
    )


def _unpaired(table: ObjectTable) -> Iterator[Finding]:
    schema = table.split.data.classes.keypoint_schema
    assert schema is not None
    sided = [name for name in schema.names if "left" in name.casefold() or "right" in name.casefold()]
    paired = {schema.names[place] for pair in schema.flip_pairs for place in pair}
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
