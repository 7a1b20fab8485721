import pytest
import torch
import torchvision.ops
from torchvision.ops.poolers import LevelMapper

from maskrcnn.config import RoISettings
from maskrcnn.model.roi_pooling import RoIPooling, assign_levels

LEVELS = (2, 3, 4, 5)


@pytest.fixture
def features() -> dict[int, torch.Tensor]:
    """Two images of 256 x 320 px, with a coarser level that no box is read from."""
    random = torch.Generator().manual_seed(0)
    return {
        level: torch.randn(2, 4, 256 >> level, 320 >> level, dtype=torch.float64, generator=random)
        for level in (*LEVELS, 6)
    }


def many_boxes(count: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, dtype=torch.float64, generator=random) * 200
    return torch.cat([corners, corners + torch.rand(count, 2, dtype=torch.float64, generator=random) ** 2 * 700], dim=1)


def pool(features, boxes, levels=LEVELS, **settings) -> torch.Tensor:
    pooling = RoIPooling(RoISettings(**settings), levels)
    return pooling.pool(pooling.table(features), boxes, 7)


@pytest.mark.parametrize("samples", [2, 0])
def test_boxes_are_pooled_as_by_torchvision(features, samples):
    boxes = [many_boxes(30, 1), many_boxes(20, 2)]
    peer = torchvision.ops.MultiScaleRoIAlign([str(level) for level in LEVELS], 7, samples or -1)
    named = {str(level): map for level, map in features.items()}
    expected = peer(named, boxes, [(256, 320)] * 2).permute(0, 2, 3, 1)
    found = pool(features, boxes, sampling_ratio=samples)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_each_setting_changes_what_is_pooled(features):
    boxes = [many_boxes(10, 1), many_boxes(10, 2)]
    kinds = [{}, {"half_pixel": True}, {"reduce": "max"}, {"sampling_ratio": 0}, {"method": "pool"}]
    kinds += [{"method": "warp"}, {"method": "warp", "reduce": "max"}, {"method": "warp", "sampling_ratio": 1}]
    found = [pool(features, boxes, **kind) for kind in kinds]
    assert len({round(pooled.sum().item(), 6) for pooled in found}) == len(kinds)


def test_a_box_at_the_border_of_two_levels_goes_where_the_slack_sends_it(features):
    # Level 4 from 224 px on; a tenth of 224 px less and only a slack of as much gets it there.
    boxes = [torch.tensor([[0.0, 0.0, 210.0, 210.0]]), torch.zeros(0, 4)]
    assert torch.equal(pool(features, boxes), pool(features, boxes, levels=(3,)))
    for slack in ((0.1, 0.0), (0.0, 0.1)):
        assert torch.equal(pool(features, boxes, level_slack=slack), pool(features, boxes, levels=(4,)))


def test_one_level_takes_boxes_of_every_size(features):
    boxes = [many_boxes(30, 1), many_boxes(20, 2)]
    expected = torchvision.ops.roi_align(features[4], boxes, 7, 1 / 16, 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(pool(features, boxes, levels=(4,)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["align", "pool", "warp"])
def test_no_boxes_give_no_features(features, method):
    assert pool(features, [torch.zeros(0, 4)] * 2, method=method).shape == (0, 7, 7, 4)


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (224, 224, 4),
        (223, 223, 3),
        (112, 112, 3),
        (111, 112, 2),
        (448, 448, 5),
        (447, 448, 4),
        (112, 448, 4),  # its root of the area is 224
        (10, 10, 2),
        (5000, 5000, 5),
        (0, 50, 2),
        (0, 0, 2),
        (-300, -300, 2),
    ],
)
def test_a_box_goes_to_the_level_of_its_size(width, height, level):
    assert assign_levels(torch.tensor([[7.0, 9.0, 7.0 + width, 9.0 + height]])).tolist() == [level]


def test_levels_stay_among_those_that_exist():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 900.0, 900.0]])
    assert assign_levels(boxes, finest=3, coarsest=4).tolist() == [3, 4]


def test_no_boxes_have_no_levels():
    levels = assign_levels(torch.zeros(0, 4))
    assert levels.shape == (0,)
    assert levels.dtype == torch.int64


def test_one_level_takes_every_box():
    assert assign_levels(torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 900.0, 900.0]]), 4, 4).tolist() == [4, 4]


def boxes_at_borders(dtype) -> torch.Tensor:
    """Squares around the borders of the levels, by as little as a float can, and any others."""
    borders = torch.tensor([112.0, 224.0, 448.0], dtype=dtype)[:, None] * (1 + torch.arange(-30, 31) * 1e-7)
    random = torch.rand(500, dtype=dtype, generator=torch.Generator().manual_seed(0)) * 900
    sides = torch.cat([borders.to(dtype).flatten(), random, torch.zeros(1, dtype=dtype)])
    return torch.stack([torch.zeros_like(sides), torch.zeros_like(sides), sides, sides], dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_are_those_of_torchvision(dtype):
    boxes = boxes_at_borders(dtype)
    assert torch.equal(assign_levels(boxes), LevelMapper(2, 5)([boxes]) + 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_are_those_of_detectron2_with_its_slack(dtype):
    boxes = boxes_at_borders(dtype)
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    expected = torch.floor(4 + torch.log2(sides / 224 + 1e-8)).clamp(2, 5)
    assert torch.equal(assign_levels(boxes, slack=(1e-8, 0.0)), expected.long())


def test_levels_are_those_of_mmdetection_with_its_slack():
    boxes = boxes_at_borders(torch.float64)
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    expected = torch.floor(torch.log2(sides / 56 + 1e-6)).clamp(0, 3)
    found = assign_levels(boxes, slack=(2.5e-7, 0.0)) - 2
    assert torch.equal(found, expected.long())
    assert not torch.equal(found, assign_levels(boxes, slack=(0.0, 0.0)) - 2)
