import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.data.readers.polygons import bitmap_rle, ellipse_polygon, join_parts, odd_even, rectangle_polygon


def area(polygon):
    x, y = polygon[::2], polygon[1::2]
    return abs(sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))) / 2


def test_a_rectangle_is_turned_clockwise_on_the_screen_about_its_middle():
    assert rectangle_polygon(1, 2, 5, 4) == [1, 2, 5, 2, 5, 4, 1, 4]
    turned = rectangle_polygon(1, 2, 5, 4, 90)  # the top left corner comes to the top right
    assert turned == pytest.approx([4, 1, 4, 5, 2, 5, 2, 1])


@pytest.mark.parametrize("radius", [1, 10, 200])
def test_a_circle_has_its_area_and_no_point_outside(radius):
    polygon = np.array(ellipse_polygon(30, 40, radius, radius)).reshape(-1, 2)
    assert np.hypot(*(polygon - [30, 40]).T) == pytest.approx(np.full(len(polygon), radius))
    assert area(polygon.ravel().tolist()) == pytest.approx(math.pi * radius**2, rel=0.06 if radius == 1 else 0.01)


def test_an_ellipse_is_turned_clockwise_on_the_screen_and_needs_both_radii():
    polygon = np.array(ellipse_polygon(0, 0, 10, 2, math.radians(90))).reshape(-1, 2)
    assert polygon[0] == pytest.approx([0, 10])
    assert np.abs(polygon).max(axis=0) == pytest.approx([2, 10], abs=0.01)
    with pytest.raises(ValueError, match="0 and 3"):
        ellipse_polygon(1, 1, 0, 3)


def test_a_window_becomes_rle_and_what_lies_outside_is_cut_off():
    bitmap = np.array([[1, 1], [0, 2]])
    decoded = coco_mask.decode(bitmap_rle(bitmap, 1, 2, (4, 5)))
    assert np.argwhere(decoded).tolist() == [[2, 1], [2, 2], [3, 2]]
    assert np.argwhere(coco_mask.decode(bitmap_rle(bitmap, -1, 2, (4, 5)))).tolist() == [[2, 0], [3, 0]]
    assert np.argwhere(coco_mask.decode(bitmap_rle(bitmap, 4, 3, (4, 5)))).tolist() == [[3, 4]]
    for x, y in ((5, 0), (0, 4), (-2, 0), (0, -2)):
        with pytest.raises(ValueError, match="no pixel"):
            bitmap_rle(bitmap, x, y, (4, 5))
    with pytest.raises(ValueError, match=f"5 x {10**30}"):
        bitmap_rle(np.ones((1, 1)), 0, 0, (10**30, 5))


def test_polygons_stay_polygons_and_are_joined_with_rle():
    square = rectangle_polygon(0, 0, 2, 2)
    assert join_parts([square, square], (4, 5)) == [square, square]
    joined = join_parts([square, bitmap_rle(np.ones((1, 2)), 1, 1, (4, 5))], (4, 5))
    assert isinstance(joined["counts"], str)
    assert np.argwhere(coco_mask.decode(joined)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]


SQUARE, HOLE = [2, 2, 12, 2, 12, 12, 2, 12], [4, 4, 8, 4, 8, 8, 4, 8]


def test_a_ring_within_another_is_a_hole_and_rings_apart_stay_polygons():
    inside = coco_mask.decode(odd_even([SQUARE, HOLE], (20, 30)))
    assert inside.sum() == 100 - 16
    assert inside[3, 3] == 1
    assert inside[6, 6] == 0
    apart = [SQUARE, [20, 2, 25, 2, 25, 6]]
    assert odd_even(apart, (20, 30)) == apart


@pytest.mark.parametrize("ring", [[4, 4, 8, 4], [4, 4, 1e9, 4, 8, 8], [4, 4, math.inf, 4, 8, 8]])
def test_rings_that_cannot_be_drawn_are_refused_before_memory_is_taken(ring):
    with pytest.raises(ValueError, match="polygon"):
        odd_even([SQUARE, ring], (20, 30))
