import numpy as np
import pytest

from maskrcnn.evaluation.label_overlaps import label_overlaps, scan_order

TRUTH = np.array([[7, 7, 0, 3], [7, 7, 0, 3]])
FOUND = np.array([[0, 5, 5, 5], [0, 5, 0, 2]])


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
    with pytest.raises(ValueError, match=r"different sizes cannot be compared: \(2, 4\) and \(4, 2\)"):
        label_overlaps(TRUTH, FOUND.T)
    with pytest.raises(ValueError, match="holds -1"):
        label_overlaps(TRUTH - 1, FOUND)


def test_a_scan_meets_objects_row_by_row():
    assert scan_order(np.array([[0, 3, 0], [2, 0, 1]])).tolist() == [2, 1, 0]
    assert scan_order(np.array([[2, 1], [2, 1]])).tolist() == [1, 0]
    assert scan_order(np.zeros((2, 2), int)).tolist() == []
