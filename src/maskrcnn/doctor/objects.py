"""The objects of a split as columns of numbers, measured once for all checks, and the pairs of them that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely

from ..data.dataset import Record
from ..ops.masks import Polygons
from ..structures.annotated_masks import ObjectMasks
from ..structures.instances import Instances
from ..structures.masks import tight_crop
from .findings import MOST_EXAMPLES, Example, Finding, Severity, about, by_share
from .splits import Split

ROWS = 512
"""Objects that are compared with all of their image at a time, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """N objects of a split, in the order of its records.

    Args:
        split: What they are of.
        images: [N] place of each one's record.
        sizes: [N, 2] height and width of its image.
        boxes: [N, 4] x1, y1, x2, y2, inside the image.
        annotated: [N, 4] the same before they are cut at the border; NaN where the file has none.
        labels: [N] 0..K-1.
        crowd: [N] bool.
        areas: [N] pixels of its mask.
        windows: [N, 4] the smallest box around these pixels.
        crossing: [N] bool: a polygon crosses itself.
        keypoints: [N, Kp, 3] x, y, visibility; None without keypoints.
    """

    split: Split
    images: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray
    annotated: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    windows: np.ndarray
    crossing: np.ndarray
    keypoints: np.ndarray | None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sides(self) -> np.ndarray:
        """[N, 2] width and height of the boxes."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @property
    def counts(self) -> np.ndarray:
        """[P] objects of each image that are no crowds."""
        return np.bincount(self.images[~self.crowd], minlength=len(self.split.data.records))

    def example(self, i: int, more: str = "") -> Example:
        """Where object i can be seen."""
        record = self.split.data.records[int(self.images[i])]
        name = self.split.data.classes.names[int(self.labels[i])]
        x1, y1, x2, y2 = (float(side) for side in self.boxes[i])
        words = f"{record.path.name}, annotation {self.split.ids[i]} ({name}){f': {more}' if more else ''}"
        return Example(words, record.path, (x1, y1, x2, y2))

    def examples(self, places: np.ndarray) -> tuple[Example, ...]:
        """The first few of some objects."""
        return tuple(self.example(int(i)) for i in places[:MOST_EXAMPLES])

    def worst(self, places: np.ndarray, values: np.ndarray, words: str = "") -> tuple[Example, ...]:
        """A few of some objects, those with the largest values first.

        Args:
            places: [M] of the objects.
            values: [N] of all objects of the table.
            words: To say a value with, such as `{:.1f} px`.
        """
        order = places[np.argsort(-values[places], kind="stable")][:MOST_EXAMPLES]
        return tuple(self.example(int(i), words.format(values[i])) for i in order)

    def about(
        self,
        places: np.ndarray,
        name: str,
        what: str,
        advice: str,
        *,
        severity: Severity | None = None,
        examples: tuple[Example, ...] | None = None,
        settings: tuple[str, ...] = (),
    ) -> Iterator[Finding]:
        """A finding about some of the objects; none if there are none of them.

        Args:
            places: [M] of the objects.
            name, advice, settings: As of `Finding`.
            what: Behind the name of the split, and how many of its objects these are.
            severity: None: a warning for more than 1 % of the objects, else a note.
            examples: None: the first of them.
        """
        shown = self.examples(places) if examples is None else examples
        level = severity or by_share(len(places), len(self))
        yield from about(len(places), len(self), self.split.name, level, name, what, advice, shown, settings)


class _Measured(NamedTuple):
    areas: np.ndarray
    windows: np.ndarray
    crossing: np.ndarray


def measure_objects(split: Split, *, on_progress: Callable[[int], None] = lambda images: None) -> ObjectTable:
    """Measure the masks of a split, one at a time.

    Args:
        split: Read.
        on_progress: Called with 1 for each image that is done.
    """
    records = split.data.records
    measured = []
    for record in records:
        measured.append(_measure(record.instances))
        on_progress(1)
    counts = [len(record.instances) for record in records]
    sizes = np.array([record.size for record in records], dtype=np.int64).reshape(-1, 2)
    return ObjectTable(
        split,
        images=np.repeat(np.arange(len(records)), counts),
        sizes=np.repeat(sizes, counts, axis=0),
        boxes=_column(records, lambda objects: objects.boxes.double().numpy(), (4,)),
        annotated=split.boxes,
        labels=_column(records, lambda objects: objects.labels.numpy(), (), np.int64),
        crowd=_column(records, _crowd, (), bool),
        areas=_join([one.areas for one in measured], ()),
        windows=_join([one.windows for one in measured], (4,)),
        crossing=_join([one.crossing for one in measured], (), bool),
        keypoints=_keypoints(split),
    )


def crosses_itself(polygons: Polygons) -> bool:
    """Whether a polygon crosses itself, so that what lies inside it is not clear; touching itself is no crossing."""
    return any(
        len(points) > 3
        and not shapely.is_valid(shapely.polygons(points))
        and shapely.is_valid_reason(shapely.polygons(points)).startswith("Self-intersection")
        for points in polygons
    )


def _measure(objects: Instances) -> _Measured:
    masks, count = objects.masks, len(objects)
    areas, windows, crossing = np.zeros(count), np.zeros((count, 4)), np.zeros(count, dtype=bool)
    for i in range(count if masks is not None else 0):
        assert masks is not None
        x, y, bitmap = tight_crop(*masks.crop(i))
        areas[i] = bitmap.sum()
        windows[i] = (x, y, x + bitmap.shape[1], y + bitmap.shape[0])
        crossing[i] = isinstance(masks, ObjectMasks) and crosses_itself(masks.polygons_of(i))
    return _Measured(areas, windows, crossing)


def _crowd(objects: Instances) -> np.ndarray:
    return np.zeros(len(objects), dtype=bool) if objects.crowd is None else objects.crowd.numpy()


def _keypoints(split: Split) -> np.ndarray | None:
    count = split.data.classes.keypoint_count
    if not count:
        return None
    return _column(
        split.data.records,
        lambda objects: np.zeros((len(objects), count, 3)) if objects.keypoints is None else objects.keypoints.numpy(),
        (count, 3),
    )


def _column(
    records: list[Record], values: Callable[[Instances], np.ndarray], shape: tuple[int, ...], dtype: Any = np.float64
) -> np.ndarray:
    return _join([values(record.instances) for record in records], shape, dtype)


def _join(parts: list[np.ndarray], shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """All parts one after the other; [0, *shape] of none."""
    return np.concatenate([np.zeros((0, *shape), dtype=dtype), *parts]).astype(dtype)


class Pairs(NamedTuple):
    """P pairs, each once, without crowds.

    Args:
        first, second: [P] places in the table, first < second.
        overlaps: [P] IoU of their boxes.
    """

    first: np.ndarray
    second: np.ndarray
    overlaps: np.ndarray

    def where(self, chosen: np.ndarray) -> Pairs:
        """Those that a boolean array [P] selects."""
        return Pairs(self.first[chosen], self.second[chosen], self.overlaps[chosen])


def overlapping_pairs(table: ObjectTable, least: float) -> Pairs:
    """Objects of the same image whose boxes have an IoU of at least `least`."""
    places = np.flatnonzero(~table.crowd)
    edges = np.flatnonzero(np.diff(table.images[places], prepend=-1, append=-1))
    found = [np.zeros((0, 3))]
    for start, end in pairwise(edges.tolist()):
        own = places[start:end]
        for row in range(0, len(own), ROWS):
            overlaps = box_overlaps(table.boxes[own[row : row + ROWS]], table.boxes[own])
            i, j = np.nonzero(np.triu(overlaps >= least, k=row + 1))
            found.append(np.stack([own[row + i], own[j], overlaps[i, j]], axis=1))
    joined = np.concatenate(found)
    return Pairs(joined[:, 0].astype(np.int64), joined[:, 1].astype(np.int64), joined[:, 2])


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M] IoU of boxes [N, 4] and [M, 4]; 0 where neither has an area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
