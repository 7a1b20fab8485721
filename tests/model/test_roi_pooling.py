import pytest
import torch
import torchvision.ops

from maskrcnn.config import RoISettings
from maskrcnn.model.roi_pooling import RoIPooling

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
