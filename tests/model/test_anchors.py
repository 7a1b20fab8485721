import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from maskrcnn.config import AnchorSettings
from maskrcnn.errors import SettingError
from maskrcnn.model.anchors import Anchors, check_levels

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
    centers = (finest[:, :2] + finest[:, 2:]) / 2
    assert centers.tolist() == [[x, y] for y in (0, 4) for x in (0, 4, 8) for _ in range(2)]
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


def test_exact_anchors_are_not_rounded_and_computed_in_float64():
    exact = anchors([(1, 1)], (32, 32), torch.float64, sizes=((32,),), ratios=(0.5, 1.0), rounded=False)[0]
    half = 16 * 2**0.5
    expected = torch.tensor([[-half, -half / 2, half, half / 2], [-16, -16, 16, 16]], dtype=torch.float64)
    torch.testing.assert_close(exact, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("order", "sides"),
    [
        ("ratios_outer", [(10, 10), (20, 20), (5, 20), (10, 40)]),
        ("sizes_outer", [(10, 10), (5, 20), (20, 20), (10, 40)]),
    ],
)
def test_several_sizes_of_a_level_are_ordered_as_asked(order, sides):
    found = anchors([(1, 1)], (16, 16), sizes=((10, 20),), ratios=(1.0, 4.0), order=order, rounded=False)[0]
    assert (found[:, 2:] - found[:, :2]).tolist() == [list(side) for side in sides]
    assert Anchors(AnchorSettings(sizes=((10, 20),), ratios=(1.0, 4.0))).per_pixel == 4


def test_a_nominal_stride_is_that_of_the_level_whatever_the_size_of_the_map():
    # 100 px over 25 rows would be 4 px apart, but 100 over 7 would be 14.
    levels = anchors([(25, 25), (13, 13), (7, 7)], (100, 100), sizes=(8, 8, 8), ratios=(1.0,), stride="nominal")
    assert [(level[1] - level[0]).tolist() for level in levels] == [[n, 0, n, 0] for n in (4, 8, 16)]


def test_two_levels_of_the_same_stride_have_anchors_on_the_same_grid():
    features = {5: torch.zeros(1, 1, 2, 3), 6: torch.zeros(1, 1, 2, 3), 7: torch.zeros(1, 1, 1, 2)}
    settings = AnchorSettings(sizes=((32, 64),) * 3, ratios=(1.0,))
    levels = Anchors(settings)(features, (64, 96), torch.float32)
    assert torch.equal(levels[0], levels[1])
    assert (levels[2][2] - levels[2][0]).tolist() == [48, 0, 48, 0]


def test_anchors_are_those_of_torchvision():
    sizes, ratios = ((32, 64, 128), (48, 96, 200)), (0.5, 1.0, 2.0)
    maps = [torch.zeros(1, 1, 7, 9), torch.zeros(1, 1, 4, 5)]
    expected = AnchorGenerator(sizes, (ratios,) * 2)(ImageList(torch.zeros(1, 3, 100, 150), [(100, 150)]), maps)[0]
    found = anchors([(7, 9), (4, 5)], (100, 150), sizes=sizes, ratios=ratios)
    assert torch.equal(torch.cat(found), expected)


def test_levels_with_different_counts_of_sizes_are_refused():
    with pytest.raises(SettingError, match=r"anchors.sizes.*\[1, 2\]"):
        Anchors(AnchorSettings(sizes=((32,), (64, 128))))


def test_sizes_must_fit_the_levels_of_the_network():
    check_levels(AnchorSettings(), range(2, 7))
    with pytest.raises(SettingError, match=r"anchors.sizes.* 5 .*level 4"):
        check_levels(AnchorSettings(), [4])


def test_anchors_may_be_given_by_their_shapes_and_begin_within_the_first_stride():
    shapes = (((48, 24), (32, 32)),)
    found = anchors([(1, 2)], (4, 8), torch.float64, shapes=shapes, offset=0.5, stride="nominal")[0]
    assert found.tolist() == [[-22, -10, 26, 14], [-14, -14, 18, 18], [-18, -10, 30, 14], [-10, -14, 22, 18]]


def test_levels_with_different_numbers_of_shapes_are_refused():
    with pytest.raises(SettingError, match=r"anchors.*\[2, 1\]"):
        Anchors(AnchorSettings(shapes=(((1, 2), (2, 1)), ((3, 3),))))
    with pytest.raises(SettingError, match=r"anchors.shapes.* 1 "):
        check_levels(AnchorSettings(shapes=(((1, 2),),)), (4, 5))
