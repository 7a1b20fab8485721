"""Which images make up which training batch: a pure function of the seed and the batch's number."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..config import RunSettings
from ..errors import DataError
from .dataset import Record, has_objects
from .preprocessing import resize_factor


class Draw(NamedTuple):
    """One image of one batch.

    Args:
        record: Its number in the list of records.
        seed: Of all that is random about it.
    """

    record: int
    seed: int


class BatchPlan:
    """The endless sequence of training batches.

    Every epoch has the same number of full batches and sees every image once, in a new order; the last batch is
    filled up with images of the epoch's beginning. Where training sees random crops, an image comes as often as
    crops fit along its side, so that large images with many objects count for more. Whole images are batched with
    images that also are upright, or also are not, which saves padding. With `data.balance`, every value of that
    field gets an equal share of the epoch.

    Args:
        records: The dataset.
        settings: `data`, `augment.crop` and `train.seed` are used.

    Raises:
        DataError: No image is left to train on.
    """

    def __init__(self, records: Sequence[Record], settings: RunSettings) -> None:
        self.batch_size = settings.data.batch_size
        self.seed = settings.train.seed
        numbers = [
            i
            for i, record in enumerate(records)
            if settings.data.keep_empty or has_objects(record)
            for _ in range(_views(record.size, settings))
        ]
        if not numbers:
            raise DataError(
                "there is no image to train on: no image has an object, and data.keep_empty is false. Check the "
                "annotation file."
            )
        self.total = len(numbers)
        self.groups = _groups(records, numbers, settings.data.balance)
        apart = settings.augment.crop is None
        self.upright = np.array([apart and record.size[0] > record.size[1] for record in records])

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self.total // self.batch_size)

    def batches(self, start: int = 0) -> Iterator[list[Draw]]:
        """All batches of the run from number `start` on, without end."""
        epoch, first = divmod(start, len(self))
        while True:
            yield from self.epoch(epoch)[first:]
            epoch, first = epoch + 1, 0

    def epoch(self, epoch: int) -> list[list[Draw]]:
        """The batches of one pass over the data."""
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(np.concatenate(self._shares(generator)))
        numbers = generator.permutation(_by_shape(order, self.upright, self.batch_size))
        seeds = generator.integers(0, 2**63, numbers.shape)
        return [
            [Draw(int(number), int(seed)) for number, seed in zip(*batch, strict=True)]
            for batch in zip(numbers, seeds, strict=True)
        ]

    def _shares(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Equal numbers of images from each group; a rare group's images come several times."""
        larger = self.total % len(self.groups)
        return [
            _repeated(group, self.total // len(self.groups) + (place < larger), generator)
            for place, group in enumerate(self.groups)
        ]


def _views(size: tuple[int, int], settings: RunSettings) -> int:
    """How often an epoch sees an image of `size` (height, width)."""
    if settings.augment.crop is None:
        return 1
    side = math.sqrt(size[0] * size[1]) * resize_factor(size, settings.model.input)
    return max(1, round(side / settings.augment.crop))


def _groups(records: Sequence[Record], numbers: list[int], field: str | None) -> list[np.ndarray]:
    groups: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        groups["" if field is None else str(records[number].fields.get(field))].append(number)
    return [np.array(group) for group in groups.values()]


def _repeated(group: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` members of a group; each comes once before any of them comes again."""
    rounds = [generator.permutation(group) for _ in range(-(-count // len(group)))]
    return np.concatenate([*rounds, group[:0]])[:count]


def _by_shape(order: np.ndarray, upright: np.ndarray, batch_size: int) -> np.ndarray:
    """[batches, batch_size] numbers of `order`: full batches of one shape where it is possible, then the others."""
    shapes = [order[upright[order]], order[~upright[order]]]
    full = [shape[: len(shape) // batch_size * batch_size].reshape(-1, batch_size) for shape in shapes]
    rest = np.concatenate([shape[len(shape) // batch_size * batch_size :] for shape in shapes])
    padded = np.concatenate([rest, np.resize(order, -len(rest) % batch_size)]).reshape(-1, batch_size)
    return np.concatenate([*full, padded])
