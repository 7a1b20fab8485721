"""Keypoints that are nowhere, far from their object, or that a mirror would mix up."""

from collections.abc import Iterator

import numpy as np

from ...structures.findings import Finding, by_share, counted, share
from .objects import ObjectTable

SLACK = 0.1
"""Part of the box's longer side by which a keypoint may lie outside of it."""
MANY = 0.1
"""Share of objects: hidden limbs outside of what can be seen are usual."""


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
    out = np.flatnonzero(far > np.maximum(2.0, SLACK * table.sides.max(axis=1)))
    if len(out):
        yield Finding(
            by_share(len(out), len(table), MANY),
            "keypoints-outside",
            f"{table.split.name}: {share(len(out), len(table))} objects have a keypoint more than {SLACK:.0%} of the "
            "box's longer side outside their box.",
            "A keypoint outside its box cannot be learnt. Check whether box and keypoints are of the same object, and "
            "whether keypoints that are not annotated are 0, 0, 0.",
            len(out),
            table.worst(out, far, "{:.0f} px outside"),
        )


def _never(table: ObjectTable) -> Iterator[Finding]:
    skeleton = table.split.data.classes.skeleton
    assert table.keypoints is not None
    assert skeleton is not None
    given = (table.keypoints[:, :, 2] > 0).sum(axis=0)
    never = [name for name, count in zip(skeleton.names, given.tolist(), strict=True) if count == 0]
    if never and given.any():
        yield Finding(
            "warning",
            "unused-keypoints",
            f"{table.split.name}: {share(len(never), len(skeleton))} keypoints are annotated on no object: "
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
        else "Small and hidden objects often have none; their boxes and masks are learnt, their keypoints not.",
        len(without),
        table.examples(without),
    )


def _unpaired(table: ObjectTable) -> Iterator[Finding]:
    skeleton = table.split.data.classes.skeleton
    assert skeleton is not None
    sided = [name for name in skeleton.names if "left" in name.casefold() or "right" in name.casefold()]
    paired = {skeleton.names[place] for pair in skeleton.flip_pairs for place in pair}
    alone = [name for name in sided if name not in paired]
    if alone:
        yield Finding(
            "warning",
            "unpaired-keypoints",
            f"{table.split.name}: {counted(len(alone), 'keypoint')} of a left or right side without a partner: "
            f"{', '.join(alone)}.",
            "In mirror images they would be on the wrong side. Add `flip_pairs` to the category, or train without "
            "mirror images.",
            len(alone),
            settings=("augment.flip=0",),
        )
