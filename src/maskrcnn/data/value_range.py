"""The range of values of images of more than 8 bits: found over a dataset, and scaled to 8 bits alike in all of it."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Range = tuple[float, float]

LIMITS = (255, 1023, 4095, 16383, 65535)
"""Largest values of 8, 10, 12, 14 and 16 bits."""
LEAST_BYTES = 32
"""Floats above 1 that do not reach this are no bytes: their range is what is found."""
MARKS = (-9999.0, -99999.0, -32767.0, -32768.0)
"""Values that stand for no data by convention, in files of floats or signed numbers."""
HUGE = 1e30
"""Floats beyond it are such marks too: the lowest of float32, mostly."""


class Extent(NamedTuple):
    """What values there are.

    Args:
        low, high: The smallest and the largest; nan if there is none.
        floats: They are floats.
        bright: 99th percentile.
        missing: How many pixels' values hold no data: NaN, infinite, or a mark.
    """

    low: float
    high: float
    floats: bool
    bright: float = np.nan
    missing: int = 0

    @property
    def empty(self) -> bool:
        """No value is there."""
        return not self.low <= self.high


def find_extent(values: np.ndarray, nodata: float | None = None, *, with_brightness: bool = False) -> Extent:
    """The extent of an array of any type.

    Args:
        values: Of any shape.
        nodata: A value that holds no data, besides those by convention.
        with_brightness: Also find the 99th percentile.
    """
    missing = missing_data(values, nodata)
    valid = values if missing is None else values[~missing]
    count = 0 if missing is None else int(missing.sum())
    floats = values.dtype.kind == "f"
    if not valid.size:
        return Extent(np.nan, np.nan, floats, np.nan, count)
    bright = float(np.percentile(valid, 99)) if with_brightness else np.nan
    return Extent(float(valid.min()), float(valid.max()), floats, bright, count)


def joined_extent(extents: Iterable[Extent]) -> Extent | None:
    """That of all together; None without any value."""
    known = [one for one in extents if not one.empty]
    if not known:
        return None
    low, high = min(one.low for one in known), max(one.high for one in known)
    missing = sum(one.missing for one in known)
    return Extent(low, high, any(one.floats for one in known), np.nan, missing)


def range_of(extent: Extent) -> Range:
    """The values that become black and white.

    The smallest of 8, 10, 12, 14 and 16 bits that holds all values, so that 12 bits in a 16-bit file are not dark; of
    floats also 0..1. What fits none of these is taken from its smallest to its largest value.
    """
    if extent.empty:
        return 0.0, 1.0
    fits = extent.low >= 0 and extent.high <= LIMITS[-1]
    if extent.floats and fits and extent.high <= 1:
        return 0.0, 1.0
    if fits and not (extent.floats and extent.high < LEAST_BYTES):
        return 0.0, float(next(limit for limit in LIMITS if extent.high <= limit))
    return extent.low, extent.high if extent.high > extent.low else extent.low + 1


def stretched_range(values: np.ndarray, percentiles: tuple[float, float], nodata: float | None = None) -> Range | None:
    """The values at two percentiles; None where there is no difference between them."""
    missing = missing_data(values, nodata)
    valid = values if missing is None else values[~missing]
    if not valid.size:
        return None
    low, high = (float(value) for value in np.percentile(valid, percentiles))
    return (low, high) if low < high else None


def to_8_bits(values: np.ndarray, value_range: Range, nodata: float | None = None) -> np.ndarray:
    """Scale values so that a range becomes 0..255; what is outside becomes 0 or 255, what holds no data 0.

    Returns:
        uint8, of the same shape.
    """
    if values.dtype == np.uint16:  # by a table: a quarter of the time, and of the memory
        table = _scaled(np.arange(1 << 16, dtype=np.uint16), value_range)
        if nodata is not None and nodata in range(1 << 16):
            table[int(nodata)] = 0
        return table[values]
    missing = missing_data(values, nodata)
    if missing is not None:
        values = np.where(missing, values.dtype.type(0), values)
    scaled = _scaled(values, value_range)
    if missing is not None:
        scaled[missing] = 0
    return scaled


def missing_data(values: np.ndarray, nodata: float | None) -> np.ndarray | None:
    """Which values hold no data; None: there are no such."""
    if values.dtype.kind == "f":
        missing = ~(np.abs(values) < HUGE)  # also NaN
        for mark in MARKS:
            missing |= values == mark
    elif values.dtype.kind == "i":
        missing = np.isin(values, np.array(MARKS).astype(np.int64))
    else:
        missing = np.zeros((), dtype=bool)
    if nodata is not None and np.isfinite(nodata):
        missing = missing | (values == values.dtype.type(nodata) if _holds(values.dtype, nodata) else False)
    return missing if missing.any() else None


class Scaling(NamedTuple):
    """How values of more than 8 bits become bytes.

    Args:
        value_range: The values that become 0 and 255; None: by the values of each image.
        stretch: Two percentiles of an image's values that do, in place of the range.
    """

    value_range: Range | None = None
    stretch: tuple[float, float] | None = None

    def to_bytes(self, values: np.ndarray, nodata: float | None = None) -> np.ndarray:
        """Values of any type as uint8, of which bytes stay as they are."""
        if values.dtype == np.uint8:
            return values
        if values.dtype.kind == "b":
            return values * np.uint8(255)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        if values.dtype == np.float16:
            values = values.astype(np.float32)
        chosen = None if self.stretch is None else stretched_range(values, self.stretch, nodata)
        return to_8_bits(values, chosen or self.value_range or range_of(find_extent(values, nodata)), nodata)


def _holds(kind: np.dtype, value: float) -> bool:
    if kind.kind not in "iu":
        return kind.kind == "f"
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max


def _scaled(values: np.ndarray, value_range: Range) -> np.ndarray:
    low, high = float(value_range[0]), float(value_range[1])  # whole numbers would be computed in the values' own type
    return ((values - low) * (255 / ((high - low) or 1))).round().clip(0, 255).astype(np.uint8)
