import numpy as np
import pytest

from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.structures.polygons import crop_polygon, to_polygons


def test_polygons_lie_where_the_objects_lie_in_the_picture():
    masks = MaskCrops.of([Crop(10, 20, np.ones((3, 5), bool)), Crop(0, 0, np.ones((2, 2), bool))], (30, 40))
    for kind in ("quad", "contour"):
        far, near = to_polygons(masks, kind)
        assert (far.min(axis=0).tolist(), far.max(axis=0).tolist()) == ([10, 20], [15, 23])
        assert near.max(axis=0) == pytest.approx([2, 2])


def test_a_contour_follows_the_pixels_and_a_quad_surrounds_them():
    corner = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], bool)
    assert len(crop_polygon(Crop(0, 0, corner), "contour")) == 6
    assert len(crop_polygon(Crop(0, 0, corner), "quad")) == 4


def test_an_object_without_pixels_has_no_points():
    empty = MaskCrops.of([Crop(0, 0, np.zeros((0, 0), bool))], (30, 40))
    assert [polygon.shape for polygon in to_polygons(empty, "quad")] == [(0, 2)]
    assert to_polygons(MaskCrops.of([], (30, 40)), "contour") == []
