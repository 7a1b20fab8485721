"""Pictures that are there twice: the same bytes, or nearly the same pixels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from .pictures import PictureFacts

MOST_BITS = 4
"""Of 64: pictures whose difference hashes differ in no more than these may be the same."""
LEAST_CORRELATION = 0.98
"""Of their 16 x 16 grey parts, which they must have, too."""
LEAST_CONTRAST = 3.0
"""Standard deviation of these parts: flat pictures all look alike, and are not compared."""

BITS = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)
"""Of each byte."""

MOST_PAIRS = 200_000
"""Of pictures that look alike, after which no more are looked for: that is a film, not a mistake."""

Pair = tuple[int, int]


def same_files(facts: Sequence[PictureFacts]) -> list[list[int]]:
    """Places of files with the same bytes, each group in order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(facts):
        if one.digest:
            groups[one.digest].append(place)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(facts: Sequence[PictureFacts]) -> list[Pair]:
    """Pairs of pictures that look the same, though their bytes differ: resized, recoded, brightened.

    Their 64-bit difference hashes differ in at most `MOST_BITS` bits, and their small grey copies correlate by at
    least `LEAST_CORRELATION`. Pictures of one scene or film, a moment apart, can look so, too.
    """
    distinct: dict[str, int] = {}
    for place, one in enumerate(facts):
        if one.thumb is not None and one.thumb.std() >= LEAST_CONTRAST:
            distinct.setdefault(one.digest, place)
    places = list(distinct.values())
    hashes = [facts[place].hash for place in places]
    found = []
    for first, second in sorted(close_hashes(hashes, MOST_BITS)):
        a, b = facts[places[first]], facts[places[second]]
        if a.thumb is not None and b.thumb is not None and correlation(a.thumb, b.thumb) >= LEAST_CORRELATION:
            found.append((places[first], places[second]))
    return found


def close_hashes(hashes: Sequence[int], most: int) -> set[Pair]:
    """Pairs of 64-bit numbers that differ in at most `most` bits.

    Of `most + 1` parts of the bits at least one must be equal in both, so that only numbers that share a part are
    compared: a hundred thousand take seconds. After `MOST_PAIRS` it stops.
    """
    edges = np.linspace(0, 64, most + 2).round().astype(int).tolist()
    values = np.array(hashes, dtype=np.uint64)
    pairs: set[Pair] = set()
    for low, high in pairwise(edges):
        parts: dict[int, list[int]] = defaultdict(list)
        for place, value in enumerate(hashes):
            parts[value >> low & (1 << high - low) - 1].append(place)
        for pair in _close_within(parts.values(), values, most):
            pairs.add(pair)
            if len(pairs) >= MOST_PAIRS:
                return pairs
    return pairs


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, of two arrays of the same shape; 0 if one has only one value."""
    a, b = (values.astype(np.float64).ravel() - values.mean() for values in (first, second))
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length else 0.0


def _close_within(groups: Iterable[list[int]], hashes: np.ndarray, most: int) -> Iterable[Pair]:
    for group in groups:
        members = np.array(group)
        for number, place in enumerate(group[:-1]):
            others = members[number + 1 :]
            near = others[_count_bits(hashes[others] ^ hashes[place]) <= most]
            yield from ((place, other) for other in near.tolist())


def _count_bits(values: np.ndarray) -> np.ndarray:
    """[N] bits that are set in each of [N] uint64."""
    return BITS[values.view(np.uint8).reshape(-1, 8)].sum(axis=1)
