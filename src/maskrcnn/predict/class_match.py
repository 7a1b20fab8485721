"""The classes a model knows, found again in a dataset that may number or order them otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import SCORE_THRESHOLD
from ..errors import DataError, WeightsError
from ..evaluation.accuracy import Threshold
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..structures.panoptic import Panoptic

NAMED = 12
"""How many classes a message lists."""
NOTE = "score_threshold"
"""The weights' note with the threshold that was chosen on their training images."""


@dataclass(frozen=True)
class ClassMatch:
    """Labels of a model in terms of a dataset.

    Args:
        labels: [K] int64 label in the dataset of each of the model's labels; -1: the dataset has no such class.
        notes: What people should know about the match.
        keypoints: Both have the same keypoints, in the same order.
        stuff: Stuff label in the dataset of each of the model's stuff labels; -1: the dataset has no such class.
        classes: The dataset's, if they are known.
    """

    labels: Tensor
    notes: tuple[str, ...] = ()
    keypoints: bool = False
    stuff: tuple[int, ...] = ()
    classes: Classes | None = None

    def translate(self, instances: Instances) -> Instances:
        """Predictions with the dataset's labels, without classes and keypoints it does not have."""
        labels = self.labels[instances.labels]
        keypoints = instances.keypoints if self.keypoints else None
        translated = replace(instances, labels=labels, keypoints=keypoints, classes=self.classes)[labels >= 0]
        return replace(translated, panoptic=self._translate_segments(instances.panoptic))

    def _translate_segments(self, panoptic: Panoptic | None) -> Panoptic | None:
        """Segments with the dataset's labels; pixels of those that it does not have belong to no segment."""
        if panoptic is None:
            return None
        things = self.labels.tolist()
        pairs = [(one, things[one.label] if one.is_thing else self.stuff[one.label]) for one in panoptic.segments]
        kept = [(one, label) for one, label in pairs if label >= 0]
        numbers = torch.zeros(len(panoptic.segments) + 1, dtype=panoptic.map.dtype)
        for number, (one, _) in enumerate(kept, start=1):
            numbers[one.id] = number
        segments = [
            replace(one, id=number, label=label, instance=None) for number, (one, label) in enumerate(kept, start=1)
        ]
        return Panoptic(numbers[panoptic.map.long()], segments)


def match_classes(model: Classes, data: Classes, *, source: str) -> ClassMatch:
    """Match classes by name, without regard to case; one class on both sides matches whatever the names.

    Args:
        model: Classes of the weights.
        data: Classes of the dataset.
        source: The dataset, for messages.

    Raises:
        DataError: They have no class in common.
    """
    match = _match_labels(model, data, source=source)
    ours, theirs = (classes.keypoint_schema.names if classes.keypoint_schema else () for classes in (model, data))
    note = (
        f"{source}: its keypoints are {_listed(theirs)}, but those of the weights are {_listed(ours)}; they are not "
        "scored"
    )
    different = bool(ours and theirs) and ours != theirs
    places = {_key(name): label for label, name in enumerate(data.stuff)}
    return replace(
        match,
        keypoints=bool(ours) and ours == theirs,
        notes=match.notes + ((note,) if different else ()),
        stuff=tuple(places.get(_key(name), -1) for name in model.stuff),
        classes=data,
    )


def _match_labels(model: Classes, data: Classes, *, source: str) -> ClassMatch:
    if len(model) == len(data) == 1:
        same = _key(model.names[0]) == _key(data.names[0])
        note = f"{model.names[0]!r} of the weights is taken for {data.names[0]!r} of {source}"
        return ClassMatch(torch.zeros(1, dtype=torch.int64), () if same else (note,))
    if (model.names, model.category_ids) == (data.names, data.category_ids):
        return ClassMatch(torch.arange(len(model)))
    places = {_key(name): label for label, name in reversed(list(enumerate(data.names)))}
    labels = torch.tensor([places.get(_key(name), -1) for name in model.names], dtype=torch.int64)
    if not (labels >= 0).any():
        raise DataError(
            f"{source}: its categories are {_listed(data.names)}, but the weights know {_listed(model.names)}, and no "
            "name is the same. Give other weights, or name the categories as the weights do."
        )
    unknown = [name for label, name in enumerate(data.names) if label not in labels.tolist()]
    note = f"{source}: the weights do not know {_listed(unknown)}; nothing of it will be found"
    return ClassMatch(labels, (note,) if unknown else ())


def _key(name: str) -> str:
    return name.strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def find_threshold(given: float | None, notes: Mapping[str, str]) -> Threshold:
    """The score threshold somebody gave, or the weights' own, or the usual one.

    Args:
        given: None if nobody gave one.
        notes: Of the weights.

    Raises:
        WeightsError: The weights' note is no fraction.
    """
    if given is not None:
        return Threshold(given, "given")
    if NOTE not in notes:
        return Threshold(SCORE_THRESHOLD, "default")
    try:
        score = float(notes[NOTE])
    except ValueError:
        score = -1
    if not 0 <= score <= 1:
        raise WeightsError(
            f"the weights' note {NOTE} is {notes[NOTE]!r}, but must be a number in 0..1. "
            "Give a score_threshold (--score-threshold)."
        )
    return Threshold(score, "weights")
