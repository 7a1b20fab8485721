import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.structures.regions import LabelMap, find_regions

MAP = np.array([[7, 7, 0, 7], [5, 7, 0, 7], [5, 5, 5, 7]], dtype=np.uint16)


def test_a_map_is_divided_into_its_values():
    found = find_regions(MAP)
    assert [(one.value, one.area, one.box) for one in found] == [
        (0, 2, (2, 0, 1, 2)),
        (5, 4, (0, 1, 3, 2)),
        (7, 6, (0, 0, 4, 3)),
    ]


def test_a_run_that_goes_on_in_the_next_column_reaches_from_top_to_bottom():
    (first, second) = find_regions(np.array([[1, 2], [1, 2], [2, 2]]))
    assert (first.box, second.box) == ((0, 0, 1, 2), (0, 0, 2, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (13, 7)])
def test_regions_are_what_comparing_every_pixel_finds(shape, dtype):
    values = np.random.default_rng(3).integers(0, 4, shape).astype(dtype)
    found = find_regions(values)
    assert [one.value for one in found] == np.unique(values).tolist()
    for one in found:
        mask = values == one.value
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        sides = (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
        assert (one.area, one.box) == (mask.sum(), (columns[0], rows[0], *sides))
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert one.rle() == {"size": list(shape), "counts": encoded["counts"].decode()}


def test_an_empty_map_has_no_regions():
    assert find_regions(np.zeros((0, 4), dtype=np.int32)) == []


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (7, 3), (30, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_a_label_map_is_decoded_to_what_was_encoded(shape, dtype):
    values = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    coded = LabelMap.encode(values)
    np.testing.assert_array_equal(coded.decode(), values)
    assert coded.size == shape
