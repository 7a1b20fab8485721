"""Every image of a dataset, read whole once: whether it can be, what kind it is, and which of them look the same."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags
from torch import Tensor

from ..data.dataset import Record, to_rgb
from ..data.deep_images import image_extent
from ..data.images import read_image
from ..data.loading import default_workers
from ..data.opening import open_image
from ..data.value_range import Extent
from ..errors import DataError

THUMB = 16
"""Side of the small image that is kept of each."""
STEPS = 8
"""Of the difference hash: 8 x 8 = 64 comparisons of neighbors."""
MOST_BITS = 4
"""Of 64: images whose difference hashes differ in no more than these may be the same."""
LEAST_CORRELATION = 0.98
"""Of their 16 x 16 gray parts, which they must have, too."""
LEAST_CONTRAST = 3.0
"""Standard deviation of these parts: flat images all look alike, and are not compared."""
BITS = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)
"""Of each byte."""
MOST_PAIRS = 200_000
"""Of images that look alike, after which no more are looked for: that is a film, not a mistake."""
Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """What is known of an image file.

    Args:
        path: The file.
        digest: Of its bytes, or of its pixels if it is in memory; empty if it is not there.
        problem: Why it cannot be read; None if it can.
        size: (height, width) as it is shown; (0, 0) if it cannot be read.
        mode: Pillow's name of what a pixel is in the file: RGB, L (gray), CMYK, I;16, ...
        orientation: EXIF's number; 1 is upright.
        pages: Of the file.
        gray: All channels of every part of it are (nearly) the same.
        bright: 99th percentile of its brightness, 0..255.
        hash: 64-bit difference hash of it: each bit says whether a part is brighter than the one to its left.
        thumb: [16, 16] uint8 gray.
        extent: The values that are in it; None: it has 8 bits per channel, or fewer.
    """

    path: Path
    digest: str = ""
    problem: str | None = None
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    orientation: int = 1
    pages: int = 1
    gray: bool = False
    bright: float = 0.0
    hash: int = 0
    thumb: np.ndarray | None = None
    extent: Extent | None = None


def look_at_images(
    records: Sequence[Record], *, workers: int | None = None, on_progress: Callable[[int], None] = lambda images: None
) -> list[ImageFacts]:
    """The facts of each image, in their order. Files are decoded in threads, which Pillow and OpenCV leave free.

    Args:
        records: Of the images; one that cannot be read has a `problem`.
        workers: Threads; None: as many as the machine has processors to spare, and one more.
        on_progress: Called with 1 for each image that is done.
    """
    facts = []
    pool = ThreadPoolExecutor(default_workers() + 1 if workers is None else workers)
    try:
        for one in pool.map(lambda one: look_at_image(one.path, one.pixels), records):
            facts.append(one)
            on_progress(1)
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for all others
    return facts


def look_at_image(path: Path, pixels: Tensor | None = None) -> ImageFacts:
    """Read one image file to its last byte, or look at its pixels [C, H, W] uint8 in memory."""
    if pixels is not None:
        digest = hashlib.blake2b(pixels.numpy().tobytes(), digest_size=16).hexdigest()
        return _facts(path, digest, to_rgb(pixels).permute(1, 2, 0).numpy(), mode="RGB")
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        return ImageFacts(path, problem=f"{path}: the file cannot be read ({error.strerror}).")
    try:
        image = read_image(path).permute(1, 2, 0).numpy()
        extent = image_extent(path)
    except DataError as error:
        return ImageFacts(path, digest, str(error))
    mode, orientation, pages = _of_header(path)
    facts = _facts(path, digest, image, mode=mode, orientation=orientation, pages=pages)
    return replace(facts, extent=extent)


def _of_header(path: Path) -> tuple[str, int, int]:
    """Mode, orientation and pages as Pillow has them; of a TIFF that only tifffile reads, nothing is known."""
    try:
        with open_image(path) as opened:
            orientation = int(opened.getexif().get(ExifTags.Base.Orientation, 1) or 1)
            return opened.mode, orientation, int(getattr(opened, "n_frames", 1))
    except DataError:
        return "TIFF", 1, 1


def _facts(
    path: Path, digest: str, image: np.ndarray, *, mode: str, orientation: int = 1, pages: int = 1
) -> ImageFacts:
    """What the pixels [H, W, 3] uint8 say, too."""
    thumb = cv2.resize(np.ascontiguousarray(image), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)
    return ImageFacts(
        path,
        digest,
        size=(image.shape[0], image.shape[1]),
        mode=mode,
        orientation=orientation,
        pages=pages,
        gray=bool(np.ptp(thumb.astype(np.int16), axis=2).max() <= 2),
        bright=_percentile(image, 99),
        hash=difference_hash(image),
        thumb=gray,
    )


def difference_hash(image: np.ndarray) -> int:
    """64 bits of an image [H, W, 3] uint8 that hardly change when it is resized, recoded or made brighter.

    The image is shrunk to 9 x 8 gray parts; each bit says whether a part is brighter than the one to its left
    (dHash, N. Krawetz 2013).
    """
    small = cv2.resize(np.ascontiguousarray(image), (STEPS + 1, STEPS), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.int16)
    bits = gray[:, 1:] > gray[:, :-1]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _percentile(image: np.ndarray, percent: float) -> float:
    """Of the brightness of an image [H, W, 3] uint8, from its histogram."""
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    shares = np.cumsum(cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel()) / gray.size
    return float(np.searchsorted(shares, percent / 100))


def same_files(facts: Sequence[ImageFacts]) -> list[list[int]]:
    """Places of files with the same bytes, each group in order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(facts):
        if one.digest:
            groups[one.digest].append(place)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(facts: Sequence[ImageFacts]) -> list[Pair]:
    """Pairs of images that look the same, though their bytes differ: resized, recoded, brightened.

    Their 64-bit difference hashes differ in at most `MOST_BITS` bits, and their small gray copies correlate by at
    least `LEAST_CORRELATION`. Images of one scene or film, a moment apart, can look so, too.
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
