import pytest
import torch
import torchvision.ops

from maskrcnn.ops.roi_align import make_table
from maskrcnn.ops.roi_pool import box_pixels, roi_pool

SIZES = {2: (16, 20), 3: (8, 10), 4: (4, 5), 5: (2, 3)}
CHANNELS = 3


@pytest.fixture
def features() -> dict[int, torch.Tensor]:
    """Two pictures of 64 x 80 px."""
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
    pictures = torch.arange(len(boxes)) % 2
    maps = {name: map.to(dtype).requires_grad_() for name, map in features.items()}
    found = roi_pool(make_table(maps), boxes, pictures, torch.full_like(pictures, level), size=size)
    given = torch.cat([pictures[:, None], boxes], dim=1)
    expected = torchvision.ops.roi_pool(maps[level], given, size, 2.0**-level).permute(0, 2, 3, 1)
    assert torch.equal(found, expected)
    with torch.no_grad():
        assert torch.equal(
            roi_pool(make_table(maps), boxes, pictures, torch.full_like(pictures, level), size=size), expected
        )
    ours, theirs = (torch.autograd.grad(pooled.square().sum(), maps[level])[0] for pooled in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_one_call_for_all_levels_equals_one_call_for_each(features):
    boxes = many_boxes(60)
    pictures, levels = torch.arange(len(boxes)) % 2, torch.arange(len(boxes)) // 2 % 4 + 2
    together = roi_pool(make_table(features), boxes, pictures, levels, size=3)
    for level, map in features.items():
        chosen = levels == level
        alone = roi_pool(make_table({level: map}), boxes[chosen], pictures[chosen], levels[chosen], size=3)
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
