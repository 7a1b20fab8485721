"""Whether as many objects can be found as there are, and whether suppression leaves neighbors alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..config import ModelSettings
from ..progress import counted
from .findings import Example, Finding, about, share, some
from .object_checks import same_objects
from .objects import ObjectTable, Pairs

HEADROOM = 1.2
"""Detections to allow for each object of the fullest image."""
LOST = 0.001
"""Share of objects lost to suppression from which that is worth a word."""
MANY_LOST = 0.01
STEPS = (0.6, 0.7, 0.8)
"""Thresholds of suppression to try."""
FULL = 0.05
"""Share of images with more objects than positive samples, from which that is worth a word."""


def find_in_numbers(tables: Sequence[ObjectTable], settings: ModelSettings) -> list[Finding]:
    """Images with more objects than the network may find, or learns from at a time."""
    return [*_more_than_found(tables, settings), *_more_than_sampled(tables[:1], settings)]


def find_in_overlaps(table: ObjectTable, pairs: Pairs, settings: ModelSettings) -> Iterator[Finding]:
    """Objects that suppression would drop although they were found exactly.

    Args:
        table: The objects of a split.
        pairs: Of `overlapping_pairs`, those with an IoU above the threshold of suppression at least among them.
        settings: `box_head.nms_threshold` and `box_head.class_agnostic_nms` are used.
    """
    head = settings.box_head
    total = int((~table.crowd).sum())
    pairs = pairs.where(~same_objects(table, pairs))
    if not head.class_agnostic_nms:
        pairs = pairs.where(table.labels[pairs.first] == table.labels[pairs.second])
    lost = suppressed(pairs, head.nms_threshold)
    if len(lost) <= LOST * total:
        return
    left = {step: len(suppressed(pairs, step)) for step in STEPS if step > head.nms_threshold}
    good = [step for step, count in left.items() if count <= len(lost) / 4]
    words = (f"box_head.nms_threshold={good[0]:g}",) if good else ()
    yield Finding(
        "warning" if len(lost) > MANY_LOST * total else "note",
        "overlapping-objects",
        f"{table.split.name}: {share(len(lost), total)} objects overlap another one of their class by more than "
        f"{head.nms_threshold:g} (IoU of the boxes); suppression drops one of both even if both are found.",
        f"A higher threshold keeps more of them ({left[good[0]]:,} lost at {good[0]:g}), and more double detections; "
        "compare both on validation data, weights need not be trained anew."
        if good
        else "No threshold keeps most of them.",
        len(lost),
        some([table.example(i) for i in lost]),
        words if len(lost) > MANY_LOST * total else (),
    )


def suppressed(pairs: Pairs, threshold: float) -> list[int]:
    """Places of the objects that are dropped if every object is found exactly, and the earlier ones score higher."""
    dropped: dict[int, None] = {}
    chosen = pairs.where(pairs.overlaps > threshold)
    order = np.lexsort((chosen.second, chosen.first))
    for first, second in zip(chosen.first[order].tolist(), chosen.second[order].tolist(), strict=True):
        if first not in dropped:
            dropped[second] = None
    return list(dropped)


def _more_than_found(tables: Sequence[ObjectTable], settings: ModelSettings) -> Iterator[Finding]:
    limit, head = settings.box_head.detections_per_image, settings.rpn
    fullest = max((int(table.counts.max(initial=0)) for table in tables), default=0)
    detections = int(-(-HEADROOM * fullest // 50) * 50)  # the next multiple of 50
    keys = ("post_nms_top_n", "post_nms_top_n_training", "pre_nms_top_n", "pre_nms_top_n_training")
    words = [f"rpn.{key}={2 * detections}" for key in keys if getattr(head, key) < 2 * detections]
    for table in tables:
        counts, records = table.counts, table.split.data.records
        full = np.flatnonzero(counts > limit)
        worst = full[np.argsort(-counts[full], kind="stable")]
        yield from about(
            len(full),
            len(records),
            table.split.name,
            "warning",
            "too-many-objects",
            f"images have more than {limit} objects (at most {counts.max(initial=0)}), the most that the network finds "
            f"in one; {counted(int((counts[full] - limit).sum()), 'object')} cannot be found.",
            "Allow more detections; scores count as many as the network may find.",
            [Example(f"{records[i].path.name}: {counts[i]} objects", records[i].path) for i in worst],
            (f"box_head.detections_per_image={detections}", *words),
        )


def _more_than_sampled(tables: Sequence[ObjectTable], settings: ModelSettings) -> Iterator[Finding]:
    head = settings.box_head
    limit = int(head.batch_size_per_image * head.positive_fraction)
    for table in tables:
        counts = table.counts
        full = int((counts > limit).sum())
        if full > FULL * max(1, len(counts)):
            yield Finding(
                "note",
                "more-than-samples",
                f"{table.split.name}: {share(full, len(counts))} images have more objects than the {limit} positive "
                "samples that the heads are trained on in an image.",
                f"They are chosen at random in every step, so that nothing is lost; `box_head.batch_size_per_image="
                f"{2 * head.batch_size_per_image}` learns more per step, at the price of time and memory.",
                full,
            )
