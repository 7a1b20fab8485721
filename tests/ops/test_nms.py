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
    boxes = [groups(3, 300), groups(3, 90, seed=2)]
    valid = [torch.rand(one.shape[:2], generator=torch.Generator().manual_seed(1)) < 0.9 for one in boxes]
    for several, there, kept in zip(boxes, valid, suppress_groups(boxes, valid, threshold), strict=True):
        for group, some, found in zip(several, there, kept, strict=True):
            scores = torch.linspace(1, 0, len(group))[some]
            expected = torch.nonzero(some).flatten()[nms(group[some], scores, threshold)].sort().values
            assert 1 < len(expected) < some.sum()
            assert torch.equal(torch.nonzero(found).flatten(), expected)


def one_group(boxes, valid, threshold):
    return suppress_groups([boxes], [torch.as_tensor(valid)], threshold)[0]


def test_a_long_chain_is_followed_to_its_end():
    left = torch.arange(40.0)[:, None] * 4
    chain = torch.cat([left, left * 0, left + 10, left * 0 + 10], dim=1)[None]  # neighbors overlap by 6 / 14
    assert torch.equal(one_group(chain, torch.ones(1, 40, dtype=torch.bool), 0.4)[0], torch.arange(40) % 2 == 0)


def test_a_box_that_is_not_there_suppresses_nothing():
    twice = torch.tensor([[[0.0, 0, 9, 9], [0, 0, 9, 9]]])
    assert one_group(twice, [[False, True]], 0.5).tolist() == [[False, True]]
    assert one_group(twice, [[True, True]], 0.5).tolist() == [[True, False]]


def test_boxes_without_area_and_groups_without_boxes_pass():
    points = torch.zeros(1, 2, 4)
    assert one_group(points, torch.ones(1, 2, dtype=torch.bool), 0.5).all()
    assert one_group(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.bool), 0.5).shape == (2, 0)
