import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.data.readers.polygons import bitmap_run_lengths, ellipse_outline, join_parts, rectangle_outline


def area(outline):
    x, y = outline[::2], outline[1::2]
    return abs(sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))) / 2


def test_a_rectangle_is_turned_clockwise_on_the_screen_about_its_middle():
    assert rectangle_outline(1, 2, 5, 4) == [1, 2, 5, 2, 5, 4, 1, 4]
    turned = rectangle_outline(1, 2, 5, 4, 90)  # the top left corner comes to the top right
    assert turned == pytest.approx([4, 1, 4, 5, 2, 5, 2, 1])


@pytest.mark.parametrize("radius", [1, 10, 200])
def test_a_circle_has_its_area_and_no_point_outside(radius):
    outline = np.array(ellipse_outline(30, 40, radius, radius)).reshape(-1, 2)
    assert np.hypot(*(outline - [30, 40]).T) == pytest.approx(np.full(len(outline), radius))
    assert area(outline.ravel().tolist()) == pytest.approx(math.pi * radius**2, rel=0.06 if radius == 1 else 0.01)


def test_an_ellipse_is_turned_clockwise_on_the_screen():
    outline = np.array(ellipse_outline(0, 0, 10, 2, math.radians(90))).reshape(-1, 2)
    assert outline[0] == pytest.approx([0, 10])
    assert np.abs(outline).max(axis=0) == pytest.approx([2, 10], abs=0.01)


def test_an_ellipse_without_a_radius_is_refused():
    with pytest.raises(ValueError, match="its radii are 0 and 3, but both must be above 0"):
        ellipse_outline(1, 1, 0, 3)


def test_a_window_becomes_run_lengths_and_what_lies_outside_is_cut_off():
    bitmap = np.array([[1, 1], [0, 2]])
    decoded = coco_mask.decode(bitmap_run_lengths(bitmap, 1, 2, (4, 5)))
    assert np.argwhere(decoded).tolist() == [[2, 1], [2, 2], [3, 2]]
    assert np.argwhere(coco_mask.decode(bitmap_run_lengths(bitmap, -1, 2, (4, 5)))).tolist() == [[2, 0], [3, 0]]
    assert np.argwhere(coco_mask.decode(bitmap_run_lengths(bitmap, 4, 3, (4, 5)))).tolist() == [[3, 4]]
    for x, y in ((5, 0), (0, 4), (-2, 0), (0, -2)):
        with pytest.raises(ValueError, match="has no pixel in the picture"):
            bitmap_run_lengths(bitmap, x, y, (4, 5))


def test_a_size_that_no_picture_has_is_refused():
    with pytest.raises(ValueError, match=f"said to have 5 x {10**30} pixels"):
        bitmap_run_lengths(np.ones((1, 1)), 0, 0, (10**30, 5))


def test_outlines_stay_outlines_and_are_joined_with_run_lengths():
    square = rectangle_outline(0, 0, 2, 2)
    assert join_parts([square, square], (4, 5)) == [square, square]
    joined = join_parts([square, bitmap_run_lengths(np.ones((1, 2)), 1, 1, (4, 5))], (4, 5))
    assert isinstance(joined["counts"], str)
    assert np.argwhere(coco_mask.decode(joined)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]
