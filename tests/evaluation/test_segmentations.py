import numpy as np
import pytest
from pycocotools import mask as oracle

from maskrcnn.evaluation.annotations import rle

SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


def test_polygons_and_both_kinds_of_rle_give_the_same():
    compressed = oracle.merge(oracle.frPyObjects(SQUARE, 4, 5))
    plain = {"size": [4, 5], "counts": [5, 2, 2, 2, 9]}  # columns of 4 pixels; rows 1 and 2 of columns 1 and 2
    assert rle(SQUARE, (4, 5)) == rle(plain, (4, 5)) == rle(compressed, (4, 5)) == compressed
    text = {"size": [4, 5], "counts": compressed["counts"].decode()}
    assert np.array_equal(oracle.decode(rle(text, (4, 5))), oracle.decode(compressed))


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        (
            {"size": [5, 4], "counts": [20]},
            r"its mask is of size \[5, 4\], but the image's \[height, width\] is \[4, 5\]",
        ),
        ({"counts": [20]}, "size None"),
        ({"size": [4, 5], "counts": [3, 2]}, "cannot be used: the runs add up to 5 pixels, the image has 4 x 5"),
        ({"size": [4, 5], "counts": "3"}, "the runs add up to 3 pixels"),
        ({"size": [4, 5], "counts": "zzz!"}, "cannot be used: the text is cut off"),
        ({"size": [4, 5], "counts": [22, -2]}, "negative length"),
        ({"size": [4, 5], "counts": ["a"]}, "cannot be used"),
        ({"size": [4, 5]}, "cannot be used"),
        ([[1, 1, 2, 2]], "at least 3 points"),
        ([[1, 1, 2, 2, 3, float("nan")]], "at least 3 points"),
        ([], "at least 3 points"),
        (["abcdefgh"], "at least 3 points"),
        (7, "segmentation is 7, but must be polygons or RLE"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused_with_the_reason(segmentation, problem):
    with pytest.raises(ValueError, match=problem):
        rle(segmentation, (4, 5))
