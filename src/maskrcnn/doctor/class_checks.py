"""Classes, numbers of objects, what splits have in common, and annotations that no head is trained on."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..config import ModelSettings
from ..progress import counted
from .findings import Example, Finding, about, share
from .objects import ObjectTable
from .splits import Split

FEW_OBJECTS = 20
"""Of a class to train on; with fewer its scores hang on chance."""
FEW_IMAGES = 50
IMBALANCE = 50
"""Objects of the most frequent class over those of the rarest, from which that is worth a word."""
CROWDED = 0.05
EMPTY = 0.5
NAMED = 8


def find_in_classes(tables: Sequence[ObjectTable]) -> list[Finding]:
    """Rare classes, classes that only one split has, empty images and crowds.

    Args:
        tables: One per split; the first is the one to train on.
    """
    if not tables:
        return []
    train, others = tables[0], tables[1:]
    findings = [*_no_objects(train), *_few(train), *_imbalance(train)]
    for other in others:
        findings += [*_other_classes(train, other), *_unseen(train, other), *_shifted(train, other)]
    for table in tables:
        findings += [*_crowds(table), *_empty(table)]
    return findings


def class_counts(table: ObjectTable) -> np.ndarray:
    """[K] objects of each class that are no crowds."""
    return np.bincount(table.labels[~table.crowd], minlength=len(table.split.data.classes))


def _no_objects(table: ObjectTable) -> Iterator[Finding]:
    name, images = table.split.name, len(table.split.data.records)
    if not (~table.crowd).any():
        yield Finding(
            "error",
            "no-objects",
            f"{name}: none of its {counted(images, 'image')} has an object that is no crowd.",
            "There is nothing to train on or to score; check the annotations, and the objects that were left out.",
        )
    elif images < FEW_IMAGES and name == "train":
        yield Finding(
            "warning",
            "few-images",
            f"{name}: {counted(images, 'image')} are few to train on.",
            "Start from weights of a similar task (the usual ones are COCO's), keep more of them as they are, and "
            "annotate more; augmentation helps a little.",
            images,
            settings=("backbone.frozen_stages=3",),
        )


def _few(table: ObjectTable) -> Iterator[Finding]:
    name, counts, names = table.split.name, class_counts(table), table.split.data.classes.names
    if not counts.any():
        return
    none = [names[label] for label in np.flatnonzero(counts == 0)]
    what = f"classes have no object: {_listed(none)}."
    advice = "The model can never find them. Take them out of the categories, or annotate some."
    yield from about(len(none), len(names), name, "warning", "unused-classes", what, advice)
    rare = [label for label in np.argsort(counts, kind="stable") if 0 < counts[label] < FEW_OBJECTS]
    listed = _listed([f"{names[label]} ({counts[label]})" for label in rare])
    yield from about(
        len(rare),
        len(names),
        name,
        "warning",
        "rare-classes",
        f"classes have fewer than {FEW_OBJECTS} objects: {listed}.",
        "Annotate more of them, join them with a class that looks alike, or do not expect much; compare models by the "
        "AP of each class, not by the mean alone.",
        [_first(table, int(label)) for label in rare],
    )


def _imbalance(table: ObjectTable) -> Iterator[Finding]:
    counts, names = class_counts(table), table.split.data.classes.names
    seen = counts[counts > 0]
    if len(seen) > 1 and seen.max() >= IMBALANCE * seen.min():
        often = int(counts.argmax())
        yield Finding(
            "note",
            "imbalanced-classes",
            f"{table.split.name}: {names[often]} has {counts[often]:,} objects, {share(counts[often], counts.sum())}, "
            f"and the rarest class {seen.min():,}.",
            "Rare classes will be found less often. More images of these help most.",
            len(seen),
        )


def _other_classes(train: ObjectTable, other: ObjectTable) -> Iterator[Finding]:
    first, second = train.split.data.classes, other.split.data.classes
    if first == second:
        return
    own = dict(zip(first.category_ids, first.names, strict=True))
    differ = [f"{i} {name}" for i, name in zip(second.category_ids, second.names, strict=True) if own.get(i) != name]
    theirs = dict(zip(second.category_ids, second.names, strict=True))
    differ += [f"{i} {name}" for i, name in own.items() if i not in theirs]
    which = f": {_listed(differ)}" if differ else " in their keypoints or in what is stuff"
    yield Finding(
        "error",
        "other-classes",
        f"{other.split.name}: its categories differ from those of {train.split.name}{which}.",
        "Give all splits the same list of categories, with the same ids, names and keypoints.",
        max(1, len(differ)),
    )


def _unseen(train: ObjectTable, other: ObjectTable) -> Iterator[Finding]:
    first, second = train.split.data.classes, other.split.data.classes
    counts = dict(zip(first.category_ids, class_counts(train).tolist(), strict=True))
    found = zip(second.category_ids, second.names, class_counts(other).tolist(), strict=True)
    unseen = [f"{name} ({count})" for i, name, count in found if count and not counts.get(i)]
    if unseen:
        yield Finding(
            "warning",
            "unseen-classes",
            f"{other.split.name}: {counted(len(unseen), 'class has', 'classes have')} objects here, but none in "
            f"{train.split.name}: {_listed(unseen)}.",
            "Their AP will be 0 and pull the mean down. Split the data so that every class is in both.",
            len(unseen),
        )


def _shifted(train: ObjectTable, other: ObjectTable) -> Iterator[Finding]:
    sizes = [np.sqrt(table.sides.prod(axis=1)[~table.crowd]) for table in (train, other)]
    if min(map(len, sizes)) < FEW_OBJECTS:
        return
    medians = [float(np.median(values)) for values in sizes]
    if max(medians) > 1.5 * min(medians):
        yield Finding(
            "warning",
            "shifted-sizes",
            f"{other.split.name}: the median object is {medians[1]:.0f} px large, in {train.split.name} "
            f"{medians[0]:.0f} px.",
            "The splits are not alike, and scores on one say little about the other. Split at random, or by source "
            "if that is what is to be tested.",
        )


def _crowds(table: ObjectTable) -> Iterator[Finding]:
    crowds = np.flatnonzero(table.crowd)
    many = " These are many: check that each is a group, or a region to ignore, and no single object."
    yield from table.about(
        crowds,
        "crowds",
        "objects are crowds (`iscrowd` 1).",
        "Crowds are left out of training, and what is found inside them is neither right nor wrong."
        + (many if len(crowds) > CROWDED * len(table) else ""),
        severity="note",
    )


def _empty(table: ObjectTable) -> Iterator[Finding]:
    records = table.split.data.records
    empty = np.flatnonzero(table.counts == 0)
    if len(empty) == len(records):
        return
    many = len(empty) > EMPTY * len(records)
    yield from about(
        len(empty),
        len(records),
        table.split.name,
        "warning" if many else "note",
        "empty-images",
        "images have no object to train on.",
        "Good if there is nothing in them: they teach what is background (`data.keep_empty=false` leaves them out). "
        "Bad if nobody annotated them: the model learns not to find what they show.",
        [Example(records[i].path.name, records[i].path) for i in empty],
    )


def _first(table: ObjectTable, label: int) -> Example:
    return table.example(int(np.flatnonzero((table.labels == label) & ~table.crowd)[0]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def find_in_heads(splits: Sequence[Split], settings: ModelSettings) -> Iterator[Finding]:
    """Annotations that no head is trained on.

    Args:
        splits: The first is the one to train on.
        settings: Of the network.
    """
    for split in splits[:1]:
        classes = split.data.classes
        keypoints = f"objects have {counted(classes.keypoint_count, 'keypoint')} each"
        stuff = f"{counted(len(classes.stuff), 'class', 'classes')} of stuff (sky, grass) are annotated"
        for head, count, name, what in (
            ("keypoint_head", classes.keypoint_count, "keypoints-not-trained", keypoints),
            ("semantic_head", len(classes.stuff), "stuff-not-trained", stuff),
        ):
            if count and getattr(settings, head) is None:
                what = f"{split.name}: {what}, but the network has no head for them."
                yield Finding("note", name, what, f"To train on them, too: `{head}={{}}`.", count)
