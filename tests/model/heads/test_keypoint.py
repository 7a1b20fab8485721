import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.config import KeypointHeadSettings
from maskrcnn.model.heads.keypoint import KeypointHead, keypoint_targets

SETTINGS = KeypointHeadSettings(pool_size=3, channels=6, convolutions=2)
KEYPOINTS = 5


def head(**changes: object) -> KeypointHead:
    torch.manual_seed(0)
    return KeypointHead(4, KEYPOINTS, SETTINGS.model_copy(update=changes)).double()


@pytest.mark.parametrize("count", [2, 0])
def test_the_head_gives_a_map_per_keypoint_of_four_times_the_resolution(count):
    assert head()(torch.randn(count, 3, 3, 4, dtype=torch.float64)).shape == (count, KEYPOINTS, 12, 12)


def test_maps_are_the_doubled_transposed_convolution_and_at_least_float32():
    module = head()
    pooled = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    features = pooled.permute(0, 3, 1, 2)
    for convolution in module.convolutions:
        features = convolution(features).relu()
    coarse = F.conv_transpose2d(features, module.upsample.weight, module.upsample.bias, stride=2, padding=1)
    found = module(pooled)
    torch.testing.assert_close(found, F.interpolate(coarse, scale_factor=2.0, mode="bilinear"), rtol=0, atol=1e-12)
    assert head().bfloat16()(pooled.bfloat16()).dtype == torch.float32


def test_a_keypoint_trains_if_it_is_annotated_and_in_the_proposal():
    boxes = torch.tensor([[10.0, 20.0, 18.0, 28.0]])
    seen, hidden, outside, unknown = [12.0, 21.0, 2.0], [18.0, 28.0, 1.0], [9.0, 21.0, 2.0], [12.0, 21.0, 0.0]
    positions, valid = keypoint_targets(torch.tensor([[seen, hidden, outside, unknown]]), boxes, 8)
    assert positions.tolist() == [[1 * 8 + 2, 63, 0, 0]]
    assert valid.tolist() == [[True, True, False, False]]


def test_the_loss_is_the_mean_over_valid_maps_only():
    logits = torch.full((1, 3, 2, 2), 7.0)
    logits[0, 0] = torch.tensor([[math.log(5), 0.0], [0.0, 0.0]])
    positions, valid = torch.tensor([[0, 1, 2]]), torch.tensor([[True, False, True]])
    found = head().cross_entropy(logits, positions, valid)
    # The right pixels have probabilities of 5/8 and 1/4.
    torch.testing.assert_close(found, torch.tensor((math.log(8 / 5) + math.log(4)) / 2))
    doubled = head(loss_weight=2.0).cross_entropy(logits, positions, valid)
    torch.testing.assert_close(doubled, 2 * found)


@pytest.mark.parametrize("count", [0, 2])
def test_the_loss_without_a_valid_keypoint_is_zero_and_reaches_every_parameter(count):
    module = head()
    logits = module(torch.ones(count, 3, 3, 4, dtype=torch.float64))
    positions = torch.zeros(count, KEYPOINTS, dtype=torch.int64)
    loss = module.cross_entropy(logits, positions, positions > 0)
    loss.backward()
    assert loss == 0
    assert all((parameter.grad == 0).all() for parameter in module.parameters())


def slow_predictions(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points, peaks and shares map by map, the box's map enlarged as a whole."""
    points, peaks, shares = [], [], []
    for maps, (x1, y1, x2, y2) in zip(logits, boxes.tolist()):
        width, height = max(x2 - x1, 1), max(y2 - y1, 1)
        rows, columns = math.ceil(height), math.ceil(width)
        for one in maps:
            large = F.interpolate(one[None, None], size=(rows, columns), mode="bicubic", align_corners=False)[0, 0]
            y, x = divmod(large.argmax().item(), columns)
            points.append([x1 + (x + 0.5) * width / columns, y1 + (y + 0.5) * height / rows])
            peaks.append(large.max())
            shares.append(large.max().exp() / one.exp().sum())
    shape = logits.shape[:2]
    found = torch.tensor(points, dtype=torch.float64).view(*shape, 2)
    return found, torch.stack(peaks).view(shape), torch.stack(shares).view(shape)


def test_predictions_are_those_of_a_slow_reference():
    logits = torch.randn(4, KEYPOINTS, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[3.2, 4.1, 33.9, 90.3], [0, 0, 12, 12], [5, 5, 5.25, 9.5], [7, 8, 9.5, 8]]).double()
    points, peaks, shares = slow_predictions(logits, boxes)
    by_peak = head(score="logit").decode(logits, boxes)
    by_share = head(score="share").decode(logits, boxes)
    for found in (by_peak, by_share):
        torch.testing.assert_close(found[..., :2], points, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_peak[..., 2], peaks, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_share[..., 2], shares, rtol=0, atol=1e-12)


def test_autocast_does_not_move_predictions():
    logits, boxes = torch.randn(2, 3, 12, 12), torch.tensor([[0.0, 0.0, 30.0, 60.0], [10.0, 10.0, 70.0, 20.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head().decode(logits, boxes)
    assert torch.equal(found, head().decode(logits, boxes))


def test_no_boxes_have_no_keypoints():
    assert head().decode(torch.zeros(0, 3, 12, 12), torch.zeros(0, 4)).shape == (0, 3, 3)


def test_what_a_map_learns_is_where_the_prediction_is():
    boxes = torch.tensor([[10.0, 20.0, 66.0, 132.0]])
    keypoints = torch.tensor([[[30.5, 41.0, 2.0], [65.9, 131.0, 1.0]]])
    positions, _ = keypoint_targets(keypoints, boxes, 56)
    logits = F.one_hot(positions, 56 * 56).float().view(1, 2, 56, 56)
    found = head().decode(logits, boxes)
    assert (found[..., :2] - keypoints[..., :2]).abs().amax(dim=(0, 1)).tolist() <= [0.5, 1.0]
