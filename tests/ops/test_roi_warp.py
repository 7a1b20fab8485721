import pytest
import torch

from maskrcnn.ops.roi_align import make_table, roi_align
from maskrcnn.ops.roi_warp import roi_warp

ONE = torch.tensor([0])


@pytest.fixture
def table():
    return make_table({0: torch.randn(1, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))})


def test_a_box_is_sampled_between_its_rounded_corner_pixels():
    # Pixels 1 to 4 cover 1..5 on a grid where pixel n is at n + 0.5; bins are centred on 2 and 4, so on 1.5 and 3.5.
    ramp = torch.arange(6.0) + 10 * torch.arange(6.0)[:, None]
    pooled = roi_warp(
        make_table({0: ramp[None, None]}), torch.tensor([[0.6, 1.4, 4.4, 3.5]]), ONE, ONE, size=2, samples=2
    )
    torch.testing.assert_close(pooled[0, ..., 0], torch.tensor([[16.5, 18.5], [36.5, 38.5]]))


def test_all_boxes_that_round_to_the_same_pixels_are_alike(table):
    boxes = torch.tensor([[2.0, 3.0, 7.0, 8.0], [1.6, 3.4, 7.3, 7.5]])
    warped = roi_warp(table, boxes, torch.zeros(2).long(), torch.zeros(2).long(), size=3, samples=2)
    assert torch.equal(warped[0], warped[1])
    aligned = roi_align(table, boxes, torch.zeros(2).long(), torch.zeros(2).long(), size=3, samples=2)
    assert not torch.equal(aligned[0], aligned[1])


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_it_is_roi_align_of_the_rounded_box_at_the_scale_of_the_level(samples, largest):
    map = torch.randn(1, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kind = {"size": 3, "samples": samples, "largest": largest}
    level = torch.tensor([2])
    warped = roi_warp(make_table({2: map}), torch.tensor([[9.0, 13.0, 29.0, 31.0]]), ONE, level, **kind)
    # Corners / 4 are 2.25, 3.25, 7.25, 7.75: pixels 2 to 7 and 3 to 8.
    expected = roi_align(make_table({0: map}), torch.tensor([[2.0, 3.0, 8.0, 9.0]]), ONE, ONE, half_pixel=True, **kind)
    assert torch.equal(warped, expected)


def test_a_box_without_area_is_one_pixel(table):
    boxes = torch.tensor([[4.0, 5.0, 4.0, 5.0], [4.0, 5.0, 1.0, 2.0]])
    warped = roi_warp(table, boxes, torch.zeros(2).long(), torch.zeros(2).long(), size=1, samples=1)
    torch.testing.assert_close(warped[:, 0, 0], table.rows[5 * 12 + 4].expand(2, -1))


def test_no_boxes_give_no_features(table):
    none = torch.zeros(0, dtype=torch.int64)
    assert roi_warp(table, torch.zeros(0, 4), none, none, size=7, samples=2).shape == (0, 7, 7, 3)
