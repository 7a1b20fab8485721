import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from maskrcnn.benchmarks.cells import objects
from maskrcnn.benchmarks.cells.objects import LabeledPoints, edge_distance, foreground_distance


def drawn(*squares, size=(24, 30)):
    label_map = np.zeros(size, np.int64)
    for number, (top, left, bottom, right) in enumerate(squares, start=1):
        label_map[top:bottom, left:right] = number
    return label_map


def slowly(first, second):
    """All pixels against all."""
    ways = cdist(np.argwhere(first), np.argwhere(second))
    return max(ways.min(1).max(), ways.min(0).max())


def blobs(seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(60, 70)), 3)
    return ndimage.label(noise > np.quantile(noise, 0.75))[0].astype(np.int64)


def test_distance_of_a_moved_square_is_how_far_it_moved():
    still, moved = LabeledPoints(drawn((2, 2, 8, 8))), LabeledPoints(drawn((5, 6, 11, 12)))
    assert still.distance(0, moved, 0) == 5
    assert moved.distance(0, still, 0) == 5


def test_pixels_inside_an_object_are_at_no_distance_from_it():
    small, large = LabeledPoints(drawn((10, 10, 12, 12))), LabeledPoints(drawn((2, 2, 20, 20)))
    assert small.distance(0, large, 0) == pytest.approx(math.hypot(8, 8))  # not 0: the large one reaches far


def test_the_middle_of_an_object_may_be_the_farthest_from_a_ring_around_it():
    disc, ring = drawn((2, 2, 21, 21)), drawn((2, 2, 21, 21))
    ring[3:20, 3:20] = 0
    assert LabeledPoints(disc).distance(0, LabeledPoints(ring), 0) == 9


@pytest.mark.parametrize("most_pairs", [0, 500_000])
def test_distances_are_those_of_all_pixels_against_all(most_pairs, monkeypatch):
    monkeypatch.setattr(objects, "MOST_PAIRS", most_pairs)
    first, second = blobs(0), blobs(1)
    a, b = LabeledPoints(first), LabeledPoints(second)
    assert (len(a), len(b)) == (first.max(), second.max())
    slow = np.array([[slowly(first == i + 1, second == j + 1) for j in range(len(b))] for i in range(len(a))])
    assert np.array([[a.distance(i, b, j) for j in range(len(b))] for i in range(len(a))]) == pytest.approx(slow)
    assert [a.nearest(i, b) for i in range(len(a))] == pytest.approx(slow.min(1))


def test_no_object_is_infinitely_far():
    nothing = LabeledPoints(np.zeros((24, 30), np.int64))
    assert len(nothing) == 0
    assert LabeledPoints(drawn((0, 0, 2, 2))).nearest(0, nothing) == math.inf


def test_foregrounds_are_compared_over_all_pixels():
    first, second = blobs(0) > 0, blobs(1) > 0
    assert foreground_distance(first, second) == pytest.approx(slowly(first, second))
    assert foreground_distance(first, first) == 0


def test_edges_are_what_an_erosion_takes_away():
    full, hollow = drawn((2, 2, 13, 13)) > 0, drawn((2, 2, 13, 13)) > 0
    hollow[6:9, 6:9] = False
    assert foreground_distance(full, hollow) == 2
    # the hole has an edge of its own, whose pixels (5, 6..8) and so on are 3 from the outer one
    assert edge_distance(full, hollow) == 3
    first, second = blobs(0) > 0, blobs(1) > 0
    rims = [bitmap & ~ndimage.binary_erosion(bitmap) for bitmap in (first, second)]
    assert edge_distance(first, second) == pytest.approx(slowly(*rims))


def test_distances_without_a_pixel():
    some, none = drawn((0, 0, 2, 2)) > 0, np.zeros((24, 30), bool)
    assert (foreground_distance(some, none), foreground_distance(none, some)) == (math.inf, math.inf)
    assert (edge_distance(some, none), edge_distance(none, some)) == (math.inf, math.inf)
    assert foreground_distance(none, none) == 0
    assert edge_distance(none, none) is None
