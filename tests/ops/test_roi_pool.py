import pytest
import torch
import torchvision.ops

from maskrcnn.ops.roi_align import make_table, roi_align
from maskrcnn.ops.roi_pool import box_pixels, roi_pool, roi_warp

SIZES = {2: (16, 20), 3: (8, 10), 4: (4, 5), 5: (2, 3)}
CHANNELS = 3
ONE = torch.tensor([0])


@pytest.fixture
def features() -> dict[int, torch.Tensor]:
    """Two images of 64 x 80 px."""
    random = torch.Generator().manual_seed(0)
    return {
        level: torch.randn(2, CHANNELS, *size, dtype=torch.float64, generator=random) for level, size in SIZES.items()
    }


def many_boxes(count: int) -> torch.Tensor:
    """Boxes inside, across the border, outside and without area, many of them at halves of pixels."""
    random = torch.Generator().manual_seed(1)
    corners = (torch.rand(count, 2, generator=random) * 140 - 30).round()
    sides = (torch.rand(count, 2, generator=random) ** 3 * 90).round()
    boxes = torch.cat([corners, corners + sides], dim=1)
    return torch.cat([boxes, torch.tensor([[500.0, 500.0, 510.0, 510.0], [-300.0, -200.0, 500.0, 400.0]])]).double()


def test_a_bin_has_the_largest_of_its_whole_pixels():
    # Pixels 1 to 4 of both axes in two bins: 1, 2 and 3, 4. The map is x + 10 y.
    ramp = torch.arange(6.0) + 10 * torch.arange(6.0)[:, None]
    none = torch.tensor([0])
    pooled = roi_pool(make_table({0: ramp[None, None]}), torch.tensor([[0.6, 1.4, 4.4, 3.5]]), none, none, size=2)
    assert pooled[0, ..., 0].tolist() == [[22, 24], [42, 44]]


def test_halves_are_rounded_away_from_nought():
    table = make_table({1: torch.zeros(1, 1, 4, 4)})
    corners = box_pixels(torch.tensor([[1.0, 5.0, -1.0, -5.0], [0.99, 4.9, -0.9, 2.9]]), table, torch.zeros(2).long())
    assert corners.tolist() == [[1, 3, -1, -3], [0, 2, 0, 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 7])
@pytest.mark.parametrize("level", SIZES)
def test_it_and_its_gradient_equal_torchvision(features, level, size, dtype):
    boxes = many_boxes(150).to(dtype)
    images = torch.arange(len(boxes)) % 2
    maps = {name: map.to(dtype).requires_grad_() for name, map in features.items()}
    found = roi_pool(make_table(maps), boxes, images, torch.full_like(images, level), size=size)
    given = torch.cat([images[:, None], boxes], dim=1)
    expected = torchvision.ops.roi_pool(maps[level], given, size, 2.0**-level).permute(0, 2, 3, 1)
    assert torch.equal(found, expected)
    with torch.no_grad():
        assert torch.equal(
            roi_pool(make_table(maps), boxes, images, torch.full_like(images, level), size=size), expected
        )
    ours, theirs = (torch.autograd.grad(pooled.square().sum(), maps[level])[0] for pooled in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_one_call_for_all_levels_equals_one_call_for_each(features):
    boxes = many_boxes(60)
    images, levels = torch.arange(len(boxes)) % 2, torch.arange(len(boxes)) // 2 % 4 + 2
    together = roi_pool(make_table(features), boxes, images, levels, size=3)
    for level, map in features.items():
        chosen = levels == level
        alone = roi_pool(make_table({level: map}), boxes[chosen], images[chosen], levels[chosen], size=3)
        assert torch.equal(together[chosen], alone)


def test_no_boxes_give_no_features_and_zero_gradients(features):
    maps = {level: map.requires_grad_() for level, map in features.items()}
    none = torch.zeros(0, dtype=torch.int64)
    pooled = roi_pool(make_table(maps), torch.zeros(0, 4), none, none, size=7)
    assert pooled.shape == (0, 7, 7, CHANNELS)
    pooled.sum().backward()
    assert all((map.grad == 0).all() for map in maps.values())


def test_bfloat16_features_are_pooled_as_they_are(features):
    boxes = many_boxes(40)
    none = torch.zeros(len(boxes), dtype=torch.int64)
    rounded = {level: map.bfloat16() for level, map in features.items()}
    found = roi_pool(make_table(rounded), boxes, none, none + 2, size=7)
    assert found.dtype == torch.bfloat16
    assert torch.equal(
        found.double(), roi_pool(make_table(features), boxes, none, none + 2, size=7).bfloat16().double()
    )


@pytest.fixture
def table():
    return make_table({0: torch.randn(1, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))})


def test_a_box_is_sampled_between_its_rounded_corner_pixels():
    # Pixels 1 to 4 cover 1..5 on a grid where pixel n is at n + 0.5; bins are centerd on 2 and 4, so on 1.5 and 3.5.
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
