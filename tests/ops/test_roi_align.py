import math

import pytest
import torch
import torchvision.ops

from maskrcnn.ops.roi_align import make_table, roi_align

LEVELS = {2: (16, 20), 3: (8, 10), 4: (4, 5), 5: (2, 3)}
CHANNELS = 3


@pytest.fixture
def features() -> dict[int, torch.Tensor]:
    """Two pictures of 64 x 80 px."""
    random = torch.Generator().manual_seed(0)
    return {
        level: torch.randn(2, CHANNELS, *size, dtype=torch.float64, generator=random) for level, size in LEVELS.items()
    }


def many_boxes(count: int, seed: int = 1) -> torch.Tensor:
    """Boxes inside, across the border, far outside, without area and below one feature pixel."""
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, dtype=torch.float64, generator=random) * 140 - 30
    sides = torch.rand(count, 2, dtype=torch.float64, generator=random) ** 3 * 90
    sides[::7] = 0
    special = [
        [0, 0, 80, 64],
        [-4, -4, 84, 68],
        [76, 60, 80, 64],
        [500, 500, 510, 510],
        [8, 8, 8, 40],
        [3, 3, 3.5, 3.2],
    ]
    return torch.cat([torch.cat([corners, corners + sides], dim=1), torch.tensor(special, dtype=torch.float64)])


def slow_roi_align(map, box, scale, size, samples):
    """He et al. 2017, section 3, one sampling point at a time; `map` is [C, H, W]."""
    x1, y1, x2, y2 = (value * scale for value in box)
    width, height = max(x2 - x1, 1) / size, max(y2 - y1, 1) / size
    pooled = torch.zeros(size, size, map.shape[0], dtype=map.dtype)
    for row in range(size):
        for column in range(size):
            for i in range(samples):
                for j in range(samples):
                    y = y1 + (row + (i + 0.5) / samples) * height
                    x = x1 + (column + (j + 0.5) / samples) * width
                    pooled[row, column] += bilinear(map, y, x) / samples**2
    return pooled


def bilinear(map, y, x):
    _, height, width = map.shape
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros(map.shape[0], dtype=map.dtype)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = y - top, x - left
    upper = map[:, top, left] * (1 - along) + map[:, top, right] * along
    lower = map[:, bottom, left] * (1 - along) + map[:, bottom, right] * along
    return upper * (1 - down) + lower * down


def spread(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture and a level for each box, in every combination."""
    return torch.arange(count) % 2, torch.arange(count) // 2 % 4 + 2


def test_a_bin_averages_its_sampling_points():
    # On the map x + 10 y the average over a bin is the value at its centre: (1.5, 1.5), (2.5, 1.5), ...
    ramp = torch.arange(6.0) + 10 * torch.arange(6.0)[:, None]
    table = make_table({0: ramp[None, None]})
    pooled = roi_align(
        table, torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.tensor([0]), torch.tensor([0]), size=2, samples=2
    )
    torch.testing.assert_close(pooled[0, ..., 0], torch.tensor([[16.5, 17.5], [26.5, 27.5]]))


@pytest.mark.parametrize(("size", "samples"), [(2, 2), (3, 1)])
def test_it_equals_the_definition_on_all_levels_and_pictures(features, size, samples):
    boxes = many_boxes(40)
    pictures, levels = spread(len(boxes))
    pooled = roi_align(make_table(features), boxes, pictures, levels, size=size, samples=samples)
    assert pooled.shape == (len(boxes), size, size, CHANNELS)
    for box, picture, level, found in zip(boxes.tolist(), pictures.tolist(), levels.tolist(), pooled):
        expected = slow_roi_align(features[level][picture], box, 2.0**-level, size, samples)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_it_equals_torchvision_on_each_level(features, level):
    boxes = many_boxes(200)
    pictures = torch.arange(len(boxes)) % 2
    found = roi_align(make_table(features), boxes, pictures, torch.full_like(pictures, level), size=7)
    expected = torchvision.ops.roi_align(
        features[level], torch.cat([pictures[:, None], boxes], dim=1), 7, 2.0**-level, sampling_ratio=2
    )
    torch.testing.assert_close(found.permute(0, 3, 1, 2), expected, rtol=0, atol=1e-12)


def test_one_call_for_all_levels_equals_one_call_for_each(features):
    boxes = many_boxes(60)
    pictures, levels = spread(len(boxes))
    together = roi_align(make_table(features), boxes, pictures, levels, size=3)
    for level, map in features.items():
        chosen = levels == level
        alone = roi_align(make_table({level: map}), boxes[chosen], pictures[chosen], levels[chosen], size=3)
        assert torch.equal(together[chosen], alone)


def test_its_gradient_is_right(features):
    maps = [map[..., :4, :5].clone().requires_grad_() for map in features.values()]
    boxes = many_boxes(8)
    pictures, levels = spread(len(boxes))

    def pooled(*maps):
        return roi_align(make_table(dict(zip(LEVELS, maps))), boxes, pictures, levels, size=2)

    assert torch.autograd.gradcheck(pooled, maps)


def test_no_boxes_give_no_features_and_zero_gradients(features):
    maps = {level: map.requires_grad_() for level, map in features.items()}
    none = torch.zeros(0, dtype=torch.int64)
    pooled = roi_align(make_table(maps), torch.zeros(0, 4), none, none, size=7)
    assert pooled.shape == (0, 7, 7, CHANNELS)
    pooled.sum().backward()
    assert all((map.grad == 0).all() for map in maps.values())


def test_bfloat16_features_are_pooled_at_exact_places(features):
    # A box late in a large map: were its coordinates in bfloat16, they would be off by whole pixels.
    ramp = torch.arange(1000.0).expand(1, 1, 4, 1000)
    pooled = roi_align(
        make_table({0: ramp.bfloat16()}),
        torch.tensor([[900.0, 0.0, 902.0, 2.0]]),
        torch.tensor([0]),
        torch.tensor([0]),
        size=1,
    )
    assert pooled.dtype == torch.bfloat16
    assert abs(pooled.item() - 900.5) <= 4  # bfloat16 itself has steps of 4 there
    boxes = many_boxes(40)
    pictures, levels = spread(len(boxes))
    exact = roi_align(make_table(features), boxes, pictures, levels, size=7)
    rounded = {level: map.bfloat16() for level, map in features.items()}
    found = roi_align(make_table(rounded), boxes.float(), pictures, levels, size=7)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=0.05)


def test_a_table_has_the_pixels_of_a_level_row_by_row(features):
    table = make_table(features)
    assert table.starts.tolist() == [0, 640, 800, 840]
    assert table.finest == 2
    picture, row, column = 1, 3, 4
    assert torch.equal(table.rows[640 + picture * 80 + row * 10 + column], features[3][picture, :, row, column])
