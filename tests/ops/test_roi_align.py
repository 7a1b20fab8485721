import math

import pytest
import torch
import torchvision.ops

import maskrcnn.ops.roi_align as module
from maskrcnn.ops.roi_align import make_table, roi_align

LEVELS = {2: (16, 20), 3: (8, 10), 4: (4, 5), 5: (2, 3)}
CHANNELS = 3


@pytest.fixture
def features() -> dict[int, torch.Tensor]:
    """Two images of 64 x 80 px."""
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
        [-300, -200, 500, 400],
    ]
    return torch.cat([torch.cat([corners, corners + sides], dim=1), torch.tensor(special, dtype=torch.float64)])


def slow_roi_align(map, box, scale, size, samples, half_pixel=False, largest=False):
    """He et al. 2017, section 3, one sampling point at a time; `map` is [C, H, W]."""
    x1, y1, x2, y2 = (value * scale - half_pixel / 2 for value in box)
    least = 0 if half_pixel else 1
    width, height = max(x2 - x1, least) / size, max(y2 - y1, least) / size
    down, along = samples or math.ceil(height), samples or math.ceil(width)
    pooled = torch.zeros(size, size, map.shape[0], dtype=map.dtype)
    for row in range(size):
        for column in range(size):
            points = [
                bilinear(map, y1 + (row + (i + 0.5) / down) * height, x1 + (column + (j + 0.5) / along) * width)
                for i in range(down)
                for j in range(along)
            ]
            if points:
                joined = torch.stack(points)
                pooled[row, column] = joined.amax(dim=0) if largest else joined.mean(dim=0)
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
    """An image and a level for each box, in every combination."""
    return torch.arange(count) % 2, torch.arange(count) // 2 % 4 + 2


def test_a_bin_averages_its_sampling_points():
    # On the map x + 10 y the average over a bin is the value at its center: (1.5, 1.5), (2.5, 1.5), ...
    ramp = torch.arange(6.0) + 10 * torch.arange(6.0)[:, None]
    table = make_table({0: ramp[None, None]})
    pooled = roi_align(
        table, torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.tensor([0]), torch.tensor([0]), size=2, samples=2
    )
    torch.testing.assert_close(pooled[0, ..., 0], torch.tensor([[16.5, 17.5], [26.5, 27.5]]))


def test_without_a_count_each_pixel_of_a_bin_is_sampled_once():
    # A box of 4 x 2 px in two bins per side: 2 x 1 points per bin, here on the centers of pixels.
    map = torch.tensor([[1.0, 3.0, 5.0, 9.0], [2.0, 6.0, 0.0, 4.0]])[None, None]
    one, box = torch.tensor([0]), torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    average, most = (
        roi_align(make_table({0: map}), box, one, one, size=2, samples=0, half_pixel=True, largest=kind)
        for kind in (False, True)
    )
    assert average[0, ..., 0].tolist() == [[2, 7], [4, 2]]
    assert most[0, ..., 0].tolist() == [[3, 9], [6, 4]]


@pytest.mark.parametrize("half_pixel", [False, True])
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize(("size", "samples"), [(2, 2), (3, 1), (3, 0)])
def test_it_equals_the_definition_on_all_levels_and_images(features, size, samples, half_pixel, largest):
    boxes = many_boxes(30)
    images, levels = spread(len(boxes))
    kind = {"samples": samples, "half_pixel": half_pixel, "largest": largest}
    pooled = roi_align(make_table(features), boxes, images, levels, size=size, **kind)
    assert pooled.shape == (len(boxes), size, size, CHANNELS)
    for box, image, level, found in zip(boxes.tolist(), images.tolist(), levels.tolist(), pooled):
        expected = slow_roi_align(features[level][image], box, 2.0**-level, size, **kind)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("half_pixel", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2])
@pytest.mark.parametrize("level", LEVELS)
def test_it_and_its_gradient_equal_torchvision_on_each_level(features, level, samples, half_pixel):
    boxes = many_boxes(200)
    images = torch.arange(len(boxes)) % 2
    map = features[level].requires_grad_()
    levels = torch.full_like(images, level)
    table = make_table(features)
    found = roi_align(table, boxes, images, levels, size=7, samples=samples, half_pixel=half_pixel)
    expected = torchvision.ops.roi_align(
        map, torch.cat([images[:, None], boxes], dim=1), 7, 2.0**-level, samples or -1, half_pixel
    ).permute(0, 2, 3, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weights = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(2))
    ours, theirs = (torch.autograd.grad((pooled * weights).sum(), map)[0] for pooled in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_counts_of_samples_are_those_of_torchvision_in_float32(features):
    # Bins of whole numbers of pixels: one rounding more, and there is a sample more.
    sides = torch.arange(1, 40)[:, None] * torch.tensor([7.0, 7.0]) * torch.tensor([1.0, 2.0])
    corners = torch.rand(len(sides), 2, generator=torch.Generator().manual_seed(3)) * 50
    boxes, images = torch.cat([corners, corners + sides], dim=1), torch.zeros(len(sides), dtype=torch.int64)
    map = features[2].float()
    found = roi_align(make_table({2: map}), boxes, images, images + 2, size=7, samples=0, half_pixel=True)
    expected = torchvision.ops.roi_align(map, torch.cat([images[:, None], boxes], dim=1), 7, 0.25, -1, True)
    torch.testing.assert_close(found.permute(0, 3, 1, 2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("samples", "largest"), [(2, False), (0, False), (0, True)])
def test_one_call_for_all_levels_equals_one_call_for_each(features, samples, largest):
    boxes = many_boxes(60)
    images, levels = spread(len(boxes))
    kind = {"size": 3, "samples": samples, "largest": largest}
    together = roi_align(make_table(features), boxes, images, levels, **kind)
    for level, map in features.items():
        chosen = levels == level
        alone = roi_align(make_table({level: map}), boxes[chosen], images[chosen], levels[chosen], **kind)
        assert torch.equal(together[chosen], alone)


def test_the_largest_samples_are_found_in_parts_where_memory_is_short(features, monkeypatch):
    boxes = many_boxes(30)
    images, levels = spread(len(boxes))
    whole = roi_align(make_table(features), boxes, images, levels, size=3, largest=True)
    monkeypatch.setattr(module, "LARGEST_SAMPLING", 3 * 3 * 4 * CHANNELS * 2)
    assert torch.equal(whole, roi_align(make_table(features), boxes, images, levels, size=3, largest=True))


@pytest.mark.parametrize(("samples", "largest"), [(2, False), (0, False), (2, True)])
def test_its_gradient_is_right(features, samples, largest):
    maps = [map[..., :4, :5].clone().requires_grad_() for map in features.values()]
    boxes = many_boxes(8)[:-1]
    images, levels = spread(len(boxes))

    def pooled(*maps):
        table = make_table(dict(zip(LEVELS, maps)))
        return roi_align(table, boxes, images, levels, size=2, samples=samples, largest=largest)

    assert torch.autograd.gradcheck(pooled, maps)


@pytest.mark.parametrize("half_pixel", [False, True])
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_no_boxes_give_no_features_and_zero_gradients(features, samples, half_pixel, largest):
    maps = {level: map.requires_grad_() for level, map in features.items()}
    none = torch.zeros(0, dtype=torch.int64)
    kind = {"samples": samples, "half_pixel": half_pixel, "largest": largest}
    pooled = roi_align(make_table(maps), torch.zeros(0, 4), none, none, size=7, **kind)
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
    images, levels = spread(len(boxes))
    rounded = {level: map.bfloat16() for level, map in features.items()}
    for kind in ({}, {"samples": 0, "half_pixel": True}, {"largest": True}):
        exact = roi_align(make_table(features), boxes, images, levels, size=7, **kind)
        found = roi_align(make_table(rounded), boxes.float(), images, levels, size=7, **kind)
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=0.05)


@pytest.mark.parametrize("samples", [0, 2])
def test_boxes_get_no_gradient(features, samples):
    boxes = many_boxes(10).requires_grad_()
    images, levels = spread(len(boxes))
    assert not roi_align(make_table(features), boxes, images, levels, size=2, samples=samples).requires_grad


@pytest.mark.parametrize("largest", [False, True])
def test_boxes_without_area_have_no_samples_on_the_half_pixel_grid(features, largest):
    boxes = torch.tensor([[8.0, 8.0, 8.0, 40.0], [8.0, 8.0, 4.0, 2.0]])
    none = torch.zeros(2, dtype=torch.int64)
    table = make_table(features)
    pooled = roi_align(table, boxes, none, none + 2, size=3, samples=0, half_pixel=True, largest=largest)
    assert (pooled == 0).all()


def test_a_table_has_the_pixels_of_a_level_row_by_row(features):
    table = make_table(features)
    assert table.starts.tolist() == [0, 640, 800, 840]
    assert table.finest == 2
    image, row, column = 1, 3, 4
    assert torch.equal(table.rows[640 + image * 80 + row * 10 + column], features[3][image, :, row, column])


def test_gradients_of_many_boxes_that_share_pixels_do_not_stop_growing_in_bfloat16():
    # 400 boxes on one object, each with a gradient of 1: sums in bfloat16 would end near 256.
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0]]).repeat(400, 1)
    images, levels = torch.zeros(400, dtype=torch.int64), torch.full((400,), 2)
    found = {}
    for dtype in (torch.float64, torch.bfloat16):
        map = torch.zeros(1, 8, 16, 16, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
        pooled = roi_align(make_table({2: map}), boxes, images, levels, size=7, samples=2, half_pixel=True)
        pooled.sum().backward()
        found[dtype] = map.grad.double()
    error = (found[torch.bfloat16] - found[torch.float64]).norm() / found[torch.float64].norm()
    assert error < 4e-3
