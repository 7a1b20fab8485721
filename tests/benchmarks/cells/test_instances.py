import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from maskrcnn.benchmarks.cells import objects
from maskrcnn.benchmarks.cells.instances import instance_numbers, label_overlaps, scan_order
from maskrcnn.benchmarks.cells.objects import (
    LabeledPoints,
    edge_distance,
    foreground_distance,
    object_numbers,
    object_sums,
    pooled_sums,
)

TRUTH = np.array([[7, 7, 0, 3], [7, 7, 0, 3]])
FOUND = np.array([[0, 5, 5, 5], [0, 5, 0, 2]])


def row(*runs):
    """One row of pixels from (value, length)."""
    return np.repeat(*np.array(runs).T)[None]


def numbers(truth, found):
    return instance_numbers(label_overlaps(truth, found))


def test_one_cell_found_in_part_one_missed_and_one_invented():
    truth = row((1, 10), (0, 10), (2, 10), (0, 10))
    found = row((0, 2), (1, 8), (0, 20), (2, 10))
    scores = numbers(truth, found)
    assert scores["dice_pixel"] == 2 * 8 / (20 + 18)
    assert scores["dice_2"] == 2 * 8 / (10 + 8)
    assert scores["aji"] == scores["aji_plus"] == 8 / (10 + 10 + 10)
    assert scores["dq"] == 1 / 2
    assert scores["sq"] == pytest.approx(8 / 10, abs=1e-5)
    assert scores["pq"] == scores["dq"] * scores["sq"]


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        pytest.param(row((1, 10)), row((1, 5), (0, 5)), {"dq": 0}, id="an overlap of one half is no pair"),
        pytest.param(row((1, 100)), row((1, 51), (0, 49)), {"dq": 1}, id="an overlap above one half is one"),
        pytest.param(
            row((1, 10), (2, 10)),
            row((1, 20)),
            {"aji": (10 + 10) / (20 + 20), "aji_plus": 10 / (20 + 10), "dice_2": 2 * 20 / (30 + 30)},
            id="aji takes one found cell for several, and aji_plus does not",
        ),
        # alone, the first cell would take the second found one (IoU .5), the only one that meets the second cell
        pytest.param(
            row((1, 10), (2, 10)),
            row((1, 4), (2, 16)),
            {"aji": (4 + 10) / (10 + 16), "aji_plus": (4 + 10) / (10 + 16)},
            id="pairs of aji_plus are the best in sum",
        ),
    ],
)
def test_pairs(truth, found, expected):
    assert {name: value for name, value in numbers(truth, found).items() if name in expected} == expected


def test_a_perfect_map_loses_only_the_evaluators_margin():
    found = row((3, 4), (1, 4), (0, 2))
    assert {name: round(value, 5) for name, value in numbers(found, found).items()} == dict.fromkeys(
        ("dice_pixel", "dice_2", "aji", "aji_plus", "dq", "sq", "pq"), 1
    )
    assert numbers(found, found)["sq"] == 2 / (2 + 1e-6)


def test_what_the_official_evaluator_cannot_compute_is_none():
    nothing, one = row((0, 10)), row((1, 5), (0, 5))
    assert set(numbers(nothing, nothing).values()) == {None}
    assert {name for name, value in numbers(one, nothing).items() if value is None} == {"dice_2", "aji"}
    assert {name for name, value in numbers(nothing, one).items() if value is None} == {"dice_2"}
    apart = numbers(one, row((0, 5), (1, 5)))
    assert (apart["aji"], apart["aji_plus"], apart["sq"], apart["dice_2"]) == (0, 0, 0, None)


def test_objects_are_counted_from_one_in_the_order_of_their_values():
    overlaps = label_overlaps(TRUTH, FOUND)
    assert overlaps.truth.tolist() == [[2, 2, 0, 1], [2, 2, 0, 1]]
    assert overlaps.found.tolist() == [[0, 2, 2, 2], [0, 2, 0, 1]]


def test_shared_pixels_areas_and_ious():
    overlaps = label_overlaps(TRUTH, FOUND)
    assert overlaps.shared.tolist() == [[1, 1], [0, 2]]
    assert overlaps.truth_areas.tolist() == [2, 4]
    assert overlaps.found_areas.tolist() == [1, 4]
    assert overlaps.unions.tolist() == [[2, 5], [5, 6]]
    assert overlaps.ious == pytest.approx(np.array([[1 / 2, 1 / 5], [0, 1 / 3]]))


def test_maps_may_be_empty_or_full():
    nothing, everything = np.zeros((2, 3), int), np.full((2, 3), 9)
    assert label_overlaps(nothing, nothing).shared.shape == (0, 0)
    assert label_overlaps(nothing, everything).shared.shape == (0, 1)
    assert label_overlaps(everything, everything).shared.tolist() == [[6]]


def test_maps_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(4, 2\)"):
        label_overlaps(TRUTH, FOUND.T)
    with pytest.raises(ValueError, match="-1"):
        label_overlaps(TRUTH - 1, FOUND)


def test_a_scan_meets_objects_row_by_row():
    assert scan_order(np.array([[0, 3, 0], [2, 0, 1]])).tolist() == [2, 1, 0]
    assert scan_order(np.array([[2, 1], [2, 1]])).tolist() == [1, 0]
    assert scan_order(np.zeros((2, 2), int)).tolist() == []


def sums(truth, found):
    return object_sums(label_overlaps(truth, found))


def by_area(truth, found):
    return object_numbers(sums(truth, found))


def test_objects_count_by_their_areas():
    # the first of 10 pixels is found moved by 2 (Dice .8, distance 2); the second of 5 is missed, and its nearest found
    # object ends 22 from its start and 15 from its end; the found one of 1 pixel lies 5 behind the second's end
    truth = row((1, 10), (0, 15), (2, 5), (0, 5))
    found = row((0, 2), (1, 10), (0, 22), (2, 1))
    scores = by_area(truth, found)
    assert scores["f1_object"] == 2 * 1 / (2 + 2)
    assert scores["dice_object"] == pytest.approx((0.8 * 10 / 11 + 0.8 * 10 / 15) / 2)
    to_second = 34 - 25
    assert scores["hausdorff_object"] == pytest.approx(((2 * 10 + to_second) / 11 + (2 * 10 + to_second * 5) / 15) / 2)


def test_more_than_half_of_the_annotated_object_must_be_covered():
    assert by_area(row((1, 10)), row((1, 5), (0, 5)))["f1_object"] == 0
    assert by_area(row((1, 10), (0, 90)), row((1, 100)))["f1_object"] == 1  # however much lies outside


def test_a_found_object_over_two_counts_for_the_one_it_shares_most_with():
    scores = sums(row((1, 10), (2, 12)), row((1, 22)))
    assert (scores.right, scores.found, scores.truth) == (1, 1, 2)
    assert scores.found_dice == pytest.approx(22 * 2 * 12 / (22 + 12))


def test_of_equally_shared_objects_the_first_of_a_scan_is_the_partner():
    tied = sums(row((2, 10), (0, 2), (1, 30)), row((0, 4), (1, 14), (0, 24)))  # 6 pixels of each
    assert tied.found_dice == pytest.approx(14 * 2 * 6 / (14 + 10))


def test_an_object_mostly_on_the_background_keeps_its_partner():
    assert by_area(row((1, 2), (0, 98)), row((1, 100)))["dice_object"] == pytest.approx(2 * 2 / 102)


def test_without_objects_on_one_side_or_on_both():
    nothing, one = row((0, 10)), row((1, 5), (0, 5))
    assert by_area(nothing, nothing) == {"f1_object": 1, "dice_object": 1, "hausdorff_object": 0}
    for scores in (by_area(one, nothing), by_area(nothing, one)):
        assert scores == {"f1_object": 0, "dice_object": 0, "hausdorff_object": 0}


def test_pooled_objects_count_by_the_areas_of_all_images():
    large, small = row((1, 30)), row((1, 10), (0, 20))
    pooled = object_numbers(pooled_sums([sums(large, large), sums(small, row((0, 5), (1, 10), (0, 15)))]))
    assert pooled["dice_object"] == pytest.approx((30 * 1 + 10 * 0.5) / 40)
    assert pooled["hausdorff_object"] == pytest.approx(10 * 5 / 40)
    assert pooled["f1_object"] == 1 / 2
    assert pooled_sums([]) == (0,) * 9


def test_images_without_a_prediction_count_in_the_pooled_scores():
    one, nothing = row((1, 10)), row((0, 10))
    pooled = object_numbers(pooled_sums([sums(one, one), sums(one, nothing)]))
    assert pooled["dice_object"] == pytest.approx((1 + 10 / 20) / 2)
    assert pooled["f1_object"] == pytest.approx(2 / 3)


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
