"""COCO RLE, read without ever holding an image-sized bitmap.

A mask is read column by column: `counts` are the lengths of its runs, background and object in turn, and COCO's
compressed text stores each as the difference to the run two before it, five bits per character, lowest bits first
(https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c, `rleFrString`).
"""

from collections.abc import Sequence

import numpy as np

from .masks import Crop

MOST_CHARACTERS = 7
"""Of one run: 35 bits, more than any image has pixels."""


def counts_from_text(text: bytes) -> np.ndarray:
    """RLE from COCO's compressed text.

    Args:
        text: The `counts` of a compressed mask.

    Returns:
        [R] int64 lengths of background, object, background, ... in turn.

    Raises:
        ValueError: The text is not one that COCO's encoder writes.
    """
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("the text is cut off or holds characters that a COCO RLE never has")
    last = np.flatnonzero(codes < 32)
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > MOST_CHARACTERS:
        raise ValueError("a run is longer than any image")
    places = 5 * (np.arange(len(codes)) - np.repeat(first, lengths))
    counts = np.add.reduceat((codes & 31) << places, first)
    counts -= np.where(codes[last] & 16, 1 << 5 * lengths, 0)
    for start in (1, 2):
        counts[start::2] = np.cumsum(counts[start::2])
    return counts


def check_counts(counts: np.ndarray, size: tuple[int, int]) -> None:
    """Refuse RLE that do not fill an image of `size` (height, width) with a ValueError that says why."""
    if (counts < 0).any():
        raise ValueError(f"a run has a negative length ({int(counts.min())})")
    if counts.sum() != size[0] * size[1]:
        raise ValueError(f"the runs add up to {int(counts.sum())} pixels, the image has {size[0]} x {size[1]}")


def all_fill(texts: Sequence[str], pixels: np.ndarray) -> bool:
    """Whether compressed texts are all such that `counts_from_text` and `check_counts` accept them, found in one go.

    Args:
        texts: N masks.
        pixels: [N] height times width of the image of each.
    """
    if not len(texts):
        return True
    joined, characters = "".join(texts), np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if not joined.isascii() or not characters.all():
        return False
    codes = np.frombuffer(joined.encode("ascii"), dtype=np.uint8) - np.uint8(48)
    ends = codes < 32
    if (codes > 63).any() or not ends[np.cumsum(characters) - 1].all():
        return False
    last = np.flatnonzero(ends)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() >= MOST_CHARACTERS:
        return False
    runs = np.add.reduceat(ends, np.cumsum(characters) - characters, dtype=np.int64)
    return _runs_fill(_differences(codes, first, last), runs, pixels)


def _differences(codes: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """[R] what the runs store, from the codes of their characters first..last."""
    found = (codes[first] & 31).astype(np.int64)
    for place in range(1, int((last - first).max()) + 1):
        longer = np.flatnonzero(last - first >= place)
        found[longer] += (codes[first[longer] + place] & 31).astype(np.int64) << 5 * place
    found[codes[last] & 16 > 0] -= 1 << 5 * (last - first + 1)[codes[last] & 16 > 0]
    return found


def _runs_fill(differences: np.ndarray, runs: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether no run is negative and each mask's runs add up to its pixels.

    Args:
        differences: [R] of all masks, each but a mask's first three to the run two before it.
        runs: [N] their number in each mask, at least 1.
    """
    starts = np.cumsum(runs) - runs
    place = np.arange(len(differences)) - np.repeat(starts, runs)
    counts = differences.copy()
    for parity in (0, 1):
        chosen = (place % 2 == parity) & (place > 0)
        sums = np.cumsum(np.where(chosen, differences, 0))
        counts[chosen] = (sums - np.repeat(sums[starts], runs))[chosen]
    return bool((counts >= 0).all() and (np.add.reduceat(counts, starts) == pixels).all())


def crop_from_counts(counts: np.ndarray, size: tuple[int, int]) -> Crop:
    """The object's pixels in its own window.

    Args:
        counts: [R] int64 RLE that fill the image (see `check_counts`).
        size: (height, width) of the image.
    """
    height = size[0]
    edges = np.cumsum(counts)
    starts, lasts = edges[:-1:2], edges[1::2] - 1
    filled = lasts >= starts
    if not filled.any():
        return Crop(0, 0, np.zeros((0, 0), dtype=bool))
    (columns, rows), (last_columns, last_rows) = (np.divmod(pixels[filled], height) for pixels in (starts, lasts))
    left, right = int(columns[0]), int(last_columns[-1]) + 1
    apart = (columns == last_columns).all()  # else a run goes on at the top of the next column
    top, bottom = (int(rows.min()), int(last_rows.max()) + 1) if apart else (0, height)
    shape = right - left, bottom - top
    begins, ends = (columns - left) * shape[1] + rows - top, (last_columns - left) * shape[1] + last_rows - top + 1
    runs = np.diff(np.stack([begins, ends], axis=1).ravel(), prepend=0, append=shape[0] * shape[1])
    bitmap = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(shape).T
    return Crop(left, top, np.ascontiguousarray(bitmap))
