import cv2
import numpy as np
import pytest
import shapely

from maskrcnn.ops.contours import fit_quadrilateral, trace_contour, trace_contours


def filled(points, size=(120, 160)):
    """[h, w] bool: pixels whose center lies in a polygon."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    return shapely.contains_xy(shapely.Polygon(points), columns, rows)


def rotated(center, sides, degrees):
    return cv2.boxPoints((center, sides, degrees)).astype(float)


def test_an_upright_rectangle_comes_back_exactly():
    bitmap = np.zeros((8, 9), bool)
    bitmap[2:5, 3:7] = True
    expected = [[3, 2], [7, 2], [7, 5], [3, 5]]
    assert fit_quadrilateral(bitmap) == pytest.approx(np.array(expected), abs=1e-4)
    assert sorted(trace_contour(bitmap).tolist()) == sorted(expected)


@pytest.mark.parametrize("degrees", [0, 7, 15, 30, 45, 62, 89, 118])
def test_a_rectangle_at_any_angle_comes_back_within_a_pixel(degrees):
    corners = rotated((80.3, 60.7), (90, 24), degrees)
    found = fit_quadrilateral(filled(corners))
    distances = np.linalg.norm(found[:, None] - corners[None], axis=2)
    assert distances.min(axis=1).max() < 1
    assert sorted(distances.argmin(axis=1)) == [0, 1, 2, 3]
    assert found.sum(axis=1).argmin() == 0
    (x1, y1), (x2, y2) = np.diff(found, axis=0)[:2]
    assert x1 * y2 - y1 * x2 > 0  # clockwise where y points down


def test_a_polygon_encloses_the_pixels_of_the_largest_part_only():
    bitmap = np.zeros((10, 12), bool)
    bitmap[1:4, 1:4] = True
    bitmap[4, 4] = True  # touches at a corner: another part
    bitmap[6:9, 6:11] = True
    bitmap[7, 8] = False  # a hole
    assert sorted(trace_contour(bitmap).tolist()) == [[6, 6], [6, 9], [11, 6], [11, 9]]
    assert fit_quadrilateral(bitmap)[0] == pytest.approx([6, 6])


def test_a_polygon_has_the_area_of_its_pixels():
    bitmap = filled(shapely.Point(70, 60).buffer(45).difference(shapely.Point(100, 60).buffer(30)).exterior.coords)
    polygon = shapely.Polygon(trace_contour(bitmap))
    assert polygon.is_valid
    assert polygon.area == bitmap.sum()
    assert (filled(trace_contour(bitmap)) == bitmap).all()


def test_one_pixel_is_one_wide():
    bitmap = np.ones((1, 1), np.uint8)
    assert shapely.Polygon(trace_contour(bitmap)).area == shapely.Polygon(fit_quadrilateral(bitmap)).area == 1


@pytest.mark.parametrize("shape", [(0, 0), (4, 5)])
def test_without_a_pixel_there_is_no_point(shape):
    empty = np.zeros(shape, bool)
    assert trace_contour(empty).shape == fit_quadrilateral(empty).shape == (0, 2)
    assert trace_contours(np.zeros((4, 5), bool)) == []


def test_contours_are_those_of_mmocr_holes_included_and_specks_not():
    bitmap = np.zeros((9, 12), np.uint8)
    bitmap[1:6, 1:6] = 1
    bitmap[3, 3] = 0
    bitmap[8, 10:12] = 1  # two points: no polygon
    outer, hole = sorted(trace_contours(bitmap), key=len, reverse=True)
    assert outer.min(axis=0).tolist() == [1, 1]
    assert outer.max(axis=0).tolist() == [5, 5]  # the pixels' own places, one less than their outer sides
    assert len(outer) == 16
    assert sorted(hole.tolist()) == [[2, 3], [3, 2], [3, 4], [4, 3]]
