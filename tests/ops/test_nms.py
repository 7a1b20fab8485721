import pytest
import torch
from torchvision.ops import nms

from maskrcnn.ops.nms import suppress_groups


def groups(count, boxes, seed=0):
    """Boxes that overlap much, in groups."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, boxes, 2, generator=generator) * 60
    return torch.cat([corners, corners + 10 + torch.rand(count, boxes, 2, generator=generator) * 40], dim=2)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_each_group_keeps_what_torchvision_keeps(threshold):
    boxes = groups(3, 300)
    valid = torch.rand(3, 300, generator=torch.Generator().manual_seed(1)) < 0.9
    found = suppress_groups(boxes, valid, threshold)
    for group, there, kept in zip(boxes, valid, found, strict=True):
        scores = torch.linspace(1, 0, 300)[there]
        expected = torch.nonzero(there).flatten()[nms(group[there], scores, threshold)].sort().values
        assert 1 < len(expected) < there.sum()
        assert torch.equal(torch.nonzero(kept).flatten(), expected)


def test_a_long_chain_is_followed_to_its_end():
    left = torch.arange(40.0)[:, None] * 4
    chain = torch.cat([left, left * 0, left + 10, left * 0 + 10], dim=1)[None]  # neighbours overlap by 6 / 14
    assert torch.equal(suppress_groups(chain, torch.ones(1, 40, dtype=torch.bool), 0.4)[0], torch.arange(40) % 2 == 0)


def test_a_box_that_is_not_there_suppresses_nothing():
    twice = torch.tensor([[[0.0, 0, 9, 9], [0, 0, 9, 9]]])
    assert suppress_groups(twice, torch.tensor([[False, True]]), 0.5).tolist() == [[False, True]]
    assert suppress_groups(twice, torch.tensor([[True, True]]), 0.5).tolist() == [[True, False]]


def test_boxes_without_area_and_groups_without_boxes_pass():
    points = torch.zeros(1, 2, 4)
    assert suppress_groups(points, torch.ones(1, 2, dtype=torch.bool), 0.5).all()
    assert suppress_groups(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.bool), 0.5).shape == (2, 0)
