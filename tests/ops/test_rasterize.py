import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.ops.rasterize import draw_in_box

SQUARE = np.array([[10.0, 20.0], [14.0, 20.0], [14.0, 24.0], [10.0, 24.0]])


def test_a_polygon_is_drawn_on_the_grid_of_a_box():
    assert draw_in_box((SQUARE,), [10, 20, 14, 24], 4).tolist() == [[1] * 4] * 4
    assert draw_in_box((SQUARE,), [10, 20, 18, 24], 4).tolist() == [[1, 1, 0, 0]] * 4
    assert draw_in_box((SQUARE,), [10, 16, 14, 24], 4).tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


def test_the_object_is_the_union_of_its_polygons():
    right = SQUARE + np.array([4.0, 0.0])
    assert draw_in_box((SQUARE, right), [10, 20, 18, 24], 4).tolist() == [[1] * 4] * 4


def test_polygons_stay_as_they_were():
    polygon = SQUARE.copy()
    draw_in_box((polygon,), [10, 20, 18, 24], 4)
    assert (polygon == SQUARE).all()


@pytest.mark.parametrize("box", [[0, 0, 5, 5], [14.5, 20, 15, 24]])
def test_a_box_beside_the_object_is_empty(box):
    assert not draw_in_box((SQUARE,), box, 28).any()


@pytest.mark.parametrize("box", [[12.0, 22.0, 12.0, 22.0], [12.0, 20.0, 12.05, 24.0]])
def test_a_box_without_area_counts_as_a_tenth_of_a_pixel(box):
    x1, y1, x2, y2 = box
    grown = [x1, y1, max(x2, x1 + 0.1), max(y2, y1 + 0.1)]
    assert (draw_in_box((SQUARE,), box, 7) == draw_in_box((SQUARE,), grown, 7)).all()
    assert draw_in_box((SQUARE,), box, 7).all()


@pytest.mark.parametrize("size", [7, 28, 56])
def test_the_cells_are_those_coco_draws(size):
    random = np.random.default_rng(0)
    for _ in range(50):
        polygons = tuple(random.random((count, 2)) * 100 - 10 for count in (3, 20))
        corner, sides = random.random(2) * 40, random.random(2) * 50 + 0.2
        parts = [((polygon - corner) / sides * size).ravel().tolist() for polygon in polygons]
        expected = oracle.decode(oracle.merge(oracle.frPyObjects(parts, size, size)))
        assert (draw_in_box(polygons, [*corner, *(corner + sides)], size) == expected).all()
