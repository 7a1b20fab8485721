import pytest
import torch

from maskrcnn.config import AnchorSettings
from maskrcnn.model.anchors import Anchors

SIZES = (32, 64, 128, 256, 512)


def anchors(maps: list[tuple[int, int]], input_size: tuple[int, int], dtype=torch.float32, **settings):
    features = {level: torch.zeros(1, 1, *size) for level, size in enumerate(maps, start=2)}
    return Anchors(AnchorSettings(**settings))(features, input_size, dtype)


def test_one_pixel_has_an_anchor_of_each_ratio_rounded_to_whole_pixels():
    # 32 px square; ratio 0.5 is 45.25 x 22.63, its halves round to 23 and 11.
    finest = anchors([(1, 1)] * 5, (1, 1))[0]
    assert finest.tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]


def test_anchors_are_ordered_by_row_column_and_ratio():
    finest = anchors([(2, 3), *[(1, 1)] * 4], (8, 12), ratios=(1.0, 4.0))[0]
    centres = (finest[:, :2] + finest[:, 2:]) / 2
    assert centres.tolist() == [[x, y] for y in (0, 4) for x in (0, 4, 8) for _ in range(2)]
    sides = finest[:, 2:] - finest[:, :2]
    assert sides.tolist() == [[32, 32], [16, 64]] * 6


def test_each_level_has_its_own_size_and_stride():
    levels = anchors([(64 // 2**i, 32 // 2**i) for i in range(5)], (256, 128), ratios=(1.0,))
    for level, size, stride in zip(levels, SIZES, (4, 8, 16, 32, 64)):
        assert (level[0, 2:] - level[0, :2]).tolist() == [size, size]
        assert (level[1] - level[0]).tolist() == [stride, 0, stride, 0]
        assert len(level) == (256 // stride) * (128 // stride)


def test_the_stride_is_the_input_over_the_map_rounded_down():
    assert (anchors([(3, 3)] * 5, (13, 13), ratios=(1.0,))[0][1, :2] - torch.tensor([-16.0, -16.0])).tolist() == [4, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_anchors_have_the_type_that_is_asked_for(dtype):
    assert {level.dtype for level in anchors([(2, 2)] * 5, (8, 8), dtype)} == {dtype}


def test_even_the_smallest_anchors_have_an_area():
    smallest = anchors([(1, 1)] * 5, (1, 1), sizes=(0.5, 1, 1, 1, 1), ratios=(0.1, 1.0, 10.0))[0]
    assert ((smallest[:, 2:] - smallest[:, :2]) >= 2).all()


def test_a_size_per_level_is_asked_for():
    with pytest.raises(ValueError, match="at least 5 items"):
        AnchorSettings(sizes=(32, 64))
