import numpy as np
import pytest

from maskrcnn.benchmarks.cells.instances import label_overlaps
from maskrcnn.benchmarks.cells.objects import object_numbers, object_sums, pooled_sums


def row(*runs):
    """One row of pixels from (value, length)."""
    return np.repeat(*np.array(runs).T)[None]


def sums(truth, found):
    return object_sums(label_overlaps(truth, found))


def numbers(truth, found):
    return object_numbers(sums(truth, found))


def test_objects_count_by_their_areas():
    # the first of 10 pixels is found moved by 2 (Dice .8, distance 2); the second of 5 is missed, and its nearest found
    # object ends 22 from its start and 15 from its end; the found one of 1 pixel lies 5 behind the second's end
    truth = row((1, 10), (0, 15), (2, 5), (0, 5))
    found = row((0, 2), (1, 10), (0, 22), (2, 1))
    scores = numbers(truth, found)
    assert scores["f1_object"] == 2 * 1 / (2 + 2)
    assert scores["dice_object"] == pytest.approx((0.8 * 10 / 11 + 0.8 * 10 / 15) / 2)
    to_second = 34 - 25
    assert scores["hausdorff_object"] == pytest.approx(((2 * 10 + to_second) / 11 + (2 * 10 + to_second * 5) / 15) / 2)


def test_more_than_half_of_the_annotated_object_must_be_covered():
    assert numbers(row((1, 10)), row((1, 5), (0, 5)))["f1_object"] == 0
    assert numbers(row((1, 10), (0, 90)), row((1, 100)))["f1_object"] == 1  # however much lies outside


def test_a_found_object_over_two_counts_for_the_one_it_shares_most_with():
    scores = sums(row((1, 10), (2, 12)), row((1, 22)))
    assert (scores.right, scores.found, scores.truth) == (1, 1, 2)
    assert scores.found_dice == pytest.approx(22 * 2 * 12 / (22 + 12))


def test_of_equally_shared_objects_the_first_of_a_scan_is_the_partner():
    tied = sums(row((2, 10), (0, 2), (1, 30)), row((0, 4), (1, 14), (0, 24)))  # 6 pixels of each
    assert tied.found_dice == pytest.approx(14 * 2 * 6 / (14 + 10))


def test_an_object_mostly_on_the_background_keeps_its_partner():
    assert numbers(row((1, 2), (0, 98)), row((1, 100)))["dice_object"] == pytest.approx(2 * 2 / 102)


def test_without_objects_on_one_side_or_on_both():
    nothing, one = row((0, 10)), row((1, 5), (0, 5))
    assert numbers(nothing, nothing) == {"f1_object": 1, "dice_object": 1, "hausdorff_object": 0}
    for scores in (numbers(one, nothing), numbers(nothing, one)):
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
