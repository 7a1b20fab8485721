"""How large objects are as the network sees them, and how large images should be made for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config import InputSettings
from ..data.preprocessing import resized_size
from .findings import MOST_EXAMPLES, Finding, about, by_share, share
from .objects import ObjectTable

TINY = 16
"""px² of a box: no more than one pixel of the finest map (stride 4)."""
SMALL = 16
"""px a side: four pixels of the finest map, the least that a head can make something of."""
SMALL_SHARE = 0.1
LARGE = 128
"""px a side that nine of ten objects exceed where a smaller input would do."""
LARGEST_INPUT = 2000
"""Longer side of an input that still fits on common devices."""
MOST_MAGNIFIED = 4.0
TILE = 1024
"""Side of the input of a tile."""
STEADIER = 0.95
"""Spread of sizes in images over that in inputs, below which one magnification is better for all."""
UNEVEN = 1.5
"""Largest over smallest factor (98th and 2nd percentile) by which images are resized, from which that is asked."""


@dataclass(frozen=True, eq=False)
class Objects:
    """N boxes as the network sees them.

    Args:
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the network's input.
        inputs: [N, 2] height and width of the padded input each is in.
    """

    boxes: np.ndarray
    inputs: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sides(self) -> np.ndarray:
        """[N, 2] width and height."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def sample(self, most: int) -> "Objects":
        """At most so many of them, evenly chosen."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))
        return Objects(self.boxes[chosen], self.inputs[chosen])


@dataclass(frozen=True, eq=False)
class Seen:
    """The objects of a split, crowds left out, as the network sees them.

    Args:
        table: What they are of.
        places: [N] their places in the table.
        objects: In input pixels.
        factors: [N] how much larger each one's image is made.
    """

    table: ObjectTable
    places: np.ndarray
    objects: Objects
    factors: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """[N] root of the area of each box in input pixels."""
        return np.sqrt(self.objects.sides.prod(axis=1))


def see(table: ObjectTable, settings: InputSettings) -> Seen:
    """Bring objects to the network's input."""
    records = table.split.data.records
    inputs = np.array([resized_size(record.size, settings) for record in records], dtype=np.float64).reshape(-1, 2)
    places = np.flatnonzero(~table.crowd)
    own = inputs[table.images[places]]
    factors = own / table.sizes[places].clip(min=1)
    boxes = table.boxes[places] * np.tile(factors[:, ::-1], 2)
    padded = np.ceil(own / settings.size_divisible) * settings.size_divisible
    return Seen(table, places, Objects(boxes, padded), np.sqrt(factors.prod(axis=1)))


def find_in_sizes(seen: Seen, settings: InputSettings) -> list[Finding]:
    """Objects too small for the network, or so large that a smaller input would do.

    Args:
        seen: The objects to train on.
        settings: How images become inputs.
    """
    if not len(seen.places):
        return []
    return [*_tiny(seen), *_scale(seen, settings), *_large(seen, settings)]


def needed_magnification(seen: Seen) -> float:
    """How much larger inputs must be so that nine of ten objects are `SMALL` px or more; 1: they are large enough."""
    tenth = float(np.percentile(seen.lengths, 100 * SMALL_SHARE))
    return max(1.0, SMALL / max(tenth, 1e-3))


def better_input(seen: Seen, settings: InputSettings) -> tuple[str, ...]:
    """Settings' words for larger inputs, or for one magnification of all images; none if there is nothing to win."""
    if _is_steadier(seen, settings):
        own = seen.lengths / seen.factors
        tenth = max(float(np.percentile(own, 100 * SMALL_SHARE)), 1e-3)
        magnify = min(MOST_MAGNIFIED, max(1.0, np.ceil(2 * SMALL / tenth) / 2))
        longest = max(max(record.size) for record in seen.table.split.data.records)
        longer = int(min(LARGEST_INPUT, max(settings.max_size, _whole(magnify * longest))))
        return (f"input.scale_factor={magnify:g}", f"input.max_size={longer}")
    needed = needed_magnification(seen)
    if needed == 1:
        return ()
    if settings.scale_factor is not None:
        magnify = min(MOST_MAGNIFIED, float(np.ceil(2 * needed * settings.scale_factor) / 2))
        longest = max(max(record.size) for record in seen.table.split.data.records)
        longer = int(max(settings.max_size, min(LARGEST_INPUT, _whole(magnify * longest))))
        same = magnify <= settings.scale_factor and longer <= settings.max_size
        return () if same else (f"input.scale_factor={magnify:g}", f"input.max_size={longer}")
    possible = min(needed, LARGEST_INPUT / settings.max_size)
    if possible < 1.1:
        return ()
    shorter, longer = _whole(settings.min_size * possible), min(LARGEST_INPUT, _whole(settings.max_size * possible))
    return (f"input.min_size={shorter}", f"input.max_size={longer}")


def _tiny(seen: Seen) -> Iterator[Finding]:
    areas = seen.objects.sides.prod(axis=1)
    tiny = np.flatnonzero(areas < TINY)
    worst = tiny[np.argsort(areas[tiny], kind="stable")][:MOST_EXAMPLES]
    yield from about(
        len(tiny),
        len(areas),
        seen.table.split.name,
        by_share(len(tiny), len(areas)),
        "tiny-objects",
        f"objects are smaller than {TINY} px² at the network's input.",
        "They are smaller than one pixel of the finest map. Look whether they are objects at all: specks left by an "
        "export are often among them.",
        [seen.table.example(int(seen.places[i]), f"{areas[i]:.1f} px²") for i in worst],
    )


def _scale(seen: Seen, settings: InputSettings) -> Iterator[Finding]:
    needed, words = needed_magnification(seen), better_input(seen, settings)
    small = int((seen.lengths < SMALL).sum())
    what = (
        f"{seen.table.split.name}: {share(small, len(seen.lengths))} objects are less than {SMALL} px a side at the "
        f"network's input (median {np.median(seen.lengths):.0f} px)."
    )
    if _is_steadier(seen, settings):
        own, resized = _spreads(seen)
        yield Finding(
            "warning",
            "one-magnification",
            f"{what} Objects differ in size by a factor of {own:.1f} in the images' own pixels, and by {resized:.1f} "
            "after all images are brought to one shorter side (one standard deviation each way).",
            "The images seem to be of one magnification (microscopy, aerial): enlarge all by the same factor.",
            small,
            settings=words,
        )
    elif words:
        yield Finding(
            "warning",
            "small-objects",
            what,
            "Larger inputs help small objects more than anything else, at the price of time and memory; compare in a "
            "short run.",
            small,
            settings=words,
        )
    limit = settings.max_size if settings.scale_factor is None else settings.max_size / settings.scale_factor
    if needed > 1 and needed * limit > 1.5 * LARGEST_INPUT and max(_longest(seen), 0) > TILE:
        factor = float(np.median(seen.factors)) * needed
        side = max(32, _whole(TILE / factor))
        yield Finding(
            "warning",
            "large-images",
            f"{seen.table.split.name}: small objects in large images (up to {_longest(seen)} px): they would need "
            f"inputs {needed:.1f} times as large.",
            f"Cut the images into tiles of {side} x {side} px that overlap by the size of an object, and train on "
            f"these: enlarged to {TILE} px, nine of ten objects are {SMALL} px or more. Or train on random crops: "
            f"`augment.crop={TILE}`.",
            len(seen.table.split.data.records),
        )


def _large(seen: Seen, settings: InputSettings) -> Iterator[Finding]:
    tenth = float(np.percentile(seen.lengths, 100 * SMALL_SHARE))
    if tenth > LARGE and settings.scale_factor is None:
        factor = max(0.4, LARGE / 2 / tenth)
        shorter, longer = _whole(settings.min_size * factor), _whole(settings.max_size * factor)
        yield Finding(
            "note",
            "large-objects",
            f"{seen.table.split.name}: nine of ten objects are more than {tenth:.0f} px a side at the network's input.",
            f"Smaller inputs would do, and be about {1 / factor**2:.0f} times as fast: try "
            f"`input.min_size={shorter}` with `input.max_size={longer}`.",
            len(seen.lengths),
        )


def _is_steadier(seen: Seen, settings: InputSettings) -> bool:
    """Whether objects differ less in size before images are resized."""
    if settings.scale_factor is not None or len(seen.lengths) < 2:
        return False
    least, most = np.percentile(seen.factors, (2, 98))
    own, resized = _spreads(seen)
    return most > UNEVEN * least and np.log(own) < STEADIER * np.log(resized)


def _spreads(seen: Seen) -> tuple[float, float]:
    """Standard deviation of the logarithm of sizes in image and in input pixels, as factors."""
    lengths = seen.lengths.clip(min=1e-3)
    return float(np.exp(np.log(lengths / seen.factors).std())), float(np.exp(np.log(lengths).std()))


def _longest(seen: Seen) -> int:
    return max(max(record.size) for record in seen.table.split.data.records)


def _whole(length: float) -> int:
    """The nearest multiple of 32."""
    return max(32, 32 * round(length / 32))
