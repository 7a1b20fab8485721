import math

import pytest
import torch
from torchvision.ops import box_iou, nms

from maskrcnn.ops.boxes import box_overlaps, clip_boxes, pad_boxes, scale_boxes, sides_above
from maskrcnn.ops.deltas import decode_boxes, encode_boxes
from maskrcnn.ops.nms import suppress_groups


def test_corners_are_moved_into_the_image():
    boxes = torch.tensor([[-5.0, -6.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0], [50.0, 60.0, 70.0, 80.0]])
    expected = torch.tensor([[0.0, 0.0, 20.0, 10.0], [1.0, 2.0, 3.0, 4.0], [20.0, 10.0, 20.0, 10.0]])
    assert torch.equal(clip_boxes(boxes, (10, 20)), expected)


def test_boxes_follow_their_resized_image():
    boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert torch.equal(scale_boxes(boxes, (10, 20), (30, 20)), torch.tensor([[1.0, 6.0, 3.0, 12.0]]))


def test_a_box_is_long_enough_if_both_its_sides_are():
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 9.0, 1.9], [0.0, 0.0, 1.9, 9.0], [5.0, 5.0, 1.0, 1.0]])
    assert sides_above(boxes, 2).tolist() == [True, False, False, False]


def test_a_box_with_a_coordinate_that_is_no_number_is_never_long_enough():
    assert sides_above(torch.tensor([[0.0, 0.0, torch.nan, 5.0]]), 0).tolist() == [False]


def test_no_boxes_stay_no_boxes():
    none = torch.zeros(0, 4)
    assert clip_boxes(none, (5, 5)).shape == scale_boxes(none, (5, 5), (9, 9)).shape == (0, 4)
    assert sides_above(none, 1).shape == (0,)


def test_overlaps_are_torchvisions_image_by_image():
    corners = torch.rand(3, 50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    boxes = torch.cat([corners, corners + corners.flip(1)], dim=2)
    found = box_overlaps(boxes, boxes[:, :20] + 0.1)
    assert found.tolist() == [box_iou(own, own[:20] + 0.1).tolist() for own in boxes]
    assert box_overlaps(boxes[:, :0], boxes).shape == (3, 0, 50)


def test_a_box_that_is_not_there_overlaps_by_no_number():
    boxes = pad_boxes([torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.zeros(0, 4)])
    assert box_overlaps(boxes[:1], boxes[:1]).item() == 1
    assert box_overlaps(boxes, boxes[:1].expand(2, -1, -1))[1].isnan().all()


def test_groups_of_boxes_are_filled_up_to_the_longest_and_to_one():
    one, none = torch.ones(1, 4), torch.zeros(0, 4)
    padded = pad_boxes([one, torch.cat([one, one + 1]), none])
    assert padded[..., 0].nan_to_num(-1).tolist() == [[1, -1], [1, 2], [-1, -1]]
    assert pad_boxes([none, none]).shape == (2, 1, 4)


WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_deltas_are_counted_in_sides_of_the_reference_and_logarithms():
    # The reference is 10 x 20 around (5, 10); the box is 20 x 20 around (10, 15).
    references, boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[0.0, 5.0, 20.0, 25.0]])
    expected = torch.tensor([[10 * 0.5, 10 * 0.25, 5 * math.log(2), 0.0]])
    torch.testing.assert_close(encode_boxes(boxes, references, WEIGHTS), expected)


def test_decoding_is_the_inverse_of_encoding():
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(50, 2, 2, dtype=torch.float64, generator=random) * 100
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1) + 1], dim=1)
    references = boxes.flip(0)
    found = decode_boxes(encode_boxes(boxes, references, WEIGHTS), references, WEIGHTS)
    torch.testing.assert_close(found, boxes, rtol=0, atol=1e-10)


def test_no_delta_leaves_the_reference():
    references = torch.tensor([[1.0, 2.0, 4.0, 9.0]])
    assert torch.equal(decode_boxes(torch.zeros(1, 4), references, WEIGHTS), references)


def test_a_box_never_grows_by_more_than_1000_sixteenths():
    huge = decode_boxes(torch.tensor([[0.0, 0.0, 1e4, 1e4]]), torch.tensor([[0.0, 0.0, 16.0, 32.0]]), (1.0,) * 4)
    torch.testing.assert_close(huge[0, 2:] - huge[0, :2], torch.tensor([1000.0, 2000.0]))


def test_a_box_shrinks_without_a_limit_unless_both_sides_are_clamped():
    deltas, references = torch.tensor([[0.0, 0.0, -10.0, -1e4]]), torch.tensor([[0.0, 0.0, 1000.0, 2000.0]])
    shrunk = decode_boxes(deltas, references, (1.0,) * 4)
    assert (shrunk[0, 2] - shrunk[0, 0]).item() == pytest.approx(1000 * math.exp(-10), rel=1e-2)
    assert shrunk[0, 1] == shrunk[0, 3] == 1000
    clamped = decode_boxes(deltas, references, (1.0,) * 4, clamp_both_sides=True)
    torch.testing.assert_close(clamped[0, 2:] - clamped[0, :2], torch.tensor([16.0, 32.0]))
    grown = decode_boxes(-deltas, references, (1.0,) * 4, clamp_both_sides=True)
    torch.testing.assert_close(grown[0, 2:] - grown[0, :2], torch.tensor([62500.0, 125000.0]))


@pytest.mark.parametrize("code", [encode_boxes, decode_boxes])
def test_no_boxes_have_no_deltas(code):
    assert code(torch.zeros(0, 4), torch.zeros(0, 4), WEIGHTS).shape == (0, 4)


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
