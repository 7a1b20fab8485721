"""The classes of a dataset: contiguous labels inside, the dataset's own category ids outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .keypoint_schema import KeypointSchema


@dataclass(frozen=True)
class Classes:
    """Names and category ids, both in the order of the labels 0..K-1.

    Args:
        names: K names.
        category_ids: K ids as they stand in the annotation file; gaps are fine.
        stuff: S names of what has no separate objects (sky, grass), in the order of the stuff labels 0..S-1.
        stuff_ids: Their S category ids.
        keypoint_schema: The keypoints of the objects; None if they have none. Classes without keypoints may be among
            others.
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    stuff: tuple[str, ...] = ()
    stuff_ids: tuple[int, ...] = ()
    keypoint_schema: KeypointSchema | None = None

    @classmethod
    def of(cls, given: Classes | Sequence[str]) -> Classes:
        """Classes as they are given, or of names alone, whose category ids are 1, 2, ..."""
        return given if isinstance(given, Classes) else cls(tuple(given), tuple(range(1, len(given) + 1)))

    @property
    def keypoint_count(self) -> int:
        """Keypoints per object; 0 if there are none."""
        return 0 if self.keypoint_schema is None else len(self.keypoint_schema)

    def __len__(self) -> int:
        return len(self.names)

    def label_of(self, category_id: int) -> int:
        """Label 0..K-1 of a category id; KeyError if the dataset has no such id."""
        return self._labels[category_id]

    @cached_property
    def _labels(self) -> dict[int, int]:
        return {category_id: label for label, category_id in enumerate(self.category_ids)}
