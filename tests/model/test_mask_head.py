import math

import numpy as np
import pytest
import torch
from torch import nn

from maskrcnn.config import MaskHeadSettings
from maskrcnn.model.mask_head import MaskHead, double_resolution, mask_loss, mask_predictions, mask_targets
from maskrcnn.structures.masks import Crop, MaskCrops

CLASSES = 3


def head(**settings: int) -> MaskHead:
    torch.manual_seed(0)
    return MaskHead(4, CLASSES, MaskHeadSettings(**{"pool_size": 3, "channels": 6, "convolutions": 2} | settings))


@pytest.mark.parametrize("count", [3, 0])
def test_doubling_equals_the_transposed_convolution_and_its_gradients(count):
    upsample = nn.ConvTranspose2d(5, 7, 2, stride=2).double()
    features = torch.randn(count, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(count, 7, 8, 6, dtype=torch.float64)
    inputs = (features, upsample.weight, upsample.bias)
    found, expected = double_resolution(*inputs), upsample(features)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad((output * wanted).sum(), inputs) for output in (found, expected)]
    for ours, theirs in zip(*gradients):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_doubling_without_a_bias():
    upsample = nn.ConvTranspose2d(5, 7, 2, stride=2, bias=False)
    features = torch.randn(2, 5, 4, 3)
    torch.testing.assert_close(double_resolution(features, upsample.weight, None), upsample(features))


def test_doubled_features_are_channels_last():
    found = double_resolution(torch.randn(2, 5, 4, 3), torch.randn(5, 7, 2, 2), None)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("count", [2, 0])
def test_the_head_gives_a_map_per_class_of_twice_the_resolution(count):
    assert head()(torch.randn(count, 3, 3, 4)).shape == (count, CLASSES, 6, 6)


def masks() -> MaskCrops:
    """The left half of a box at (10, 20), 8 px wide and high; and a full box at (0, 0)."""
    left = np.zeros((8, 8), dtype=bool)
    left[:, :4] = True
    return MaskCrops.of([Crop(10, 20, left), Crop(0, 0, np.ones((4, 4), dtype=bool))], (40, 50))


def test_a_target_is_the_part_of_its_mask_the_proposal_sees():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [10.0, 20.0, 18.0, 28.0], [30.0, 30.0, 40.0, 40.0]])
    found = mask_targets(masks(), torch.tensor([1, 0, 0]), boxes, 2)
    # Points at 0.5, 1.5, 2.5 and 3.5 px; that at 3.5 lies halfway between the object and what is beyond it.
    assert torch.equal(found[0], torch.tensor([[1.0, 0.75], [0.75, 0.75**2]]))
    assert found[1, 0].tolist() == [0.875, 0.0]
    assert (found[2] == 0).all()


def test_targets_are_exact_under_autocast():
    boxes = torch.tensor([[10.3, 20.2, 17.1, 27.7]])
    expected = mask_targets(masks(), torch.tensor([0]), boxes, 28)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mask_targets(masks(), torch.tensor([0]), boxes, 28)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_no_proposals_have_no_targets():
    none = torch.zeros(0, dtype=torch.int64)
    assert mask_targets(masks(), none, torch.zeros(0, 4), 6).shape == (0, 6, 6)
    assert mask_targets(MaskCrops.of([], (9, 9)), none, torch.zeros(0, 4), 6).shape == (0, 6, 6)


def test_the_loss_is_the_mean_over_the_true_classs_pixels():
    logits = torch.full((1, CLASSES, 1, 2), 99.0)
    logits[0, 1, 0] = torch.tensor([0.0, math.log(3)])
    loss = mask_loss(logits, torch.tensor([1]), torch.tensor([[[1.0, 0.0]]]))["masks"]
    # Probabilities of 1/2 for an object's pixel, and of 3/4 for one that is not.
    torch.testing.assert_close(loss, torch.tensor((math.log(2) + math.log(4)) / 2))


def test_the_loss_without_objects_is_zero_and_reaches_every_parameter():
    module = head()
    loss = mask_loss(module(torch.zeros(0, 3, 3, 4)), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 6, 6))["masks"]
    loss.backward()
    assert loss == 0
    assert all((parameter.grad == 0).all() for parameter in module.parameters())


def test_predictions_are_probabilities_of_the_predicted_class():
    logits = torch.randn(2, CLASSES, 4, 4)
    found = mask_predictions(logits, torch.tensor([2, 0]))
    assert torch.equal(found, torch.stack([logits[0, 2], logits[1, 0]]).sigmoid())
    assert mask_predictions(logits[:0], torch.zeros(0, dtype=torch.int64)).shape == (0, 4, 4)


def test_convolutions_meet_few_numbers_of_boxes_and_the_added_ones_change_nothing():
    head = MaskHead(4, 2, MaskHeadSettings(pool_size=3, channels=5, convolutions=1)).double()
    pooled, met = torch.randn(40, 3, 3, 4, dtype=torch.float64), set()
    head.convolutions[0].register_forward_hook(lambda layer, inputs, output: met.add(len(inputs[0])))
    together = head(pooled)
    for count in range(1, 41):
        assert torch.allclose(head(pooled[:count]), together[:count], atol=1e-12)
    assert met == {32, 64}
