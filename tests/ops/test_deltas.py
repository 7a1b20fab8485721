import math

import pytest
import torch

from maskrcnn.ops.deltas import decode_boxes, encode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def test_deltas_are_counted_in_sides_of_the_reference_and_logarithms():
    # The reference is 10 x 20 around (5, 10); the box is 20 x 20 around (10, 15).
    references, boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[0.0, 5.0, 20.0, 25.0]])
    expected = torch.tensor([[10 * 0.5, 10 * 0.25, 5 * math.log(2), 0.0]])
    torch.testing.assert_close(encode_boxes(boxes, references, WEIGHTS), expected)


def test_decoding_is_the_inverse_of_encoding():
    corners = torch.rand(50, 2, 2, dtype=torch.float64) * 100
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
def test_no_boxes_stay_no_boxes(code):
    assert code(torch.zeros(0, 4), torch.zeros(0, 4), WEIGHTS).shape == (0, 4)
