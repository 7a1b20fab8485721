import math

import pytest
import torch
from torch import nn

from maskrcnn.config import MaskHeadSettings
from maskrcnn.model.heads.mask import MaskHead, double_resolution, join_quads

CLASSES = 3
SIGMOID, SOFTMAX, AGNOSTIC = {}, {"activation": "softmax"}, {"class_agnostic": True}


def head(**settings: object) -> MaskHead:
    torch.manual_seed(0)
    small = {"channels": 6, "convolutions": 2} | settings
    return MaskHead(4, CLASSES, MaskHeadSettings.model_validate(small), pooled=3)


def double(features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """[N, C, H, W] to [N, D, 2H, 2W], as a transposed convolution has them."""
    return join_quads(double_resolution(features.permute(0, 2, 3, 1), weight, bias)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("count", [3, 0])
def test_doubling_equals_the_transposed_convolution_and_its_gradients(count):
    upsample = nn.ConvTranspose2d(5, 7, 2, stride=2).double()
    features = torch.randn(count, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(count, 7, 8, 6, dtype=torch.float64)
    inputs = (features, upsample.weight, upsample.bias)
    found, expected = double(*inputs), upsample(features)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad((output * upstream).sum(), inputs) for output in (found, expected)]
    for ours, theirs in zip(*gradients):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_doubling_without_a_bias():
    upsample = nn.ConvTranspose2d(5, 7, 2, stride=2, bias=False)
    features = torch.randn(2, 5, 4, 3)
    torch.testing.assert_close(double(features, upsample.weight, None), upsample(features))


KINDS = [
    ({}, (CLASSES, 6, 6)),
    ({"upsamples": 2}, (CLASSES, 12, 12)),
    ({"class_agnostic": True}, (1, 6, 6)),
    ({"activation": "softmax"}, (CLASSES + 1, 6, 6)),
    ({"activation": "softmax", "class_agnostic": True}, (2, 6, 6)),
    ({"convolutions": 0}, (CLASSES, 6, 6)),
    ({"norm": "batch"}, (CLASSES, 6, 6)),
    ({"norm": "group", "channels": 32}, (CLASSES, 6, 6)),
    ({"kind": "linear"}, (CLASSES, 6, 6)),
    ({"kind": "linear", "convolutions": 0, "activation": "softmax", "upsamples": 2}, (CLASSES + 1, 12, 12)),
]


@pytest.mark.parametrize(("settings", "shape"), KINDS)
@pytest.mark.parametrize("count", [2, 0])
def test_every_kind_of_head_gives_its_maps_and_every_parameter_learns(settings, shape, count):
    module = head(**settings)
    logits = module(torch.randn(count, 3, 3, 4))
    assert logits.shape == (count, *shape)
    assert module.size == shape[-1]
    labels, targets = torch.arange(count), torch.rand(count, module.size, module.size)
    loss = module.cross_entropy(logits, labels, targets)
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert {name for name, gradient in gradients.items() if not gradient.any()} == (set() if count else set(gradients))


def test_the_linear_head_of_the_paper_has_1024_1024_and_80_maps_of_28_pixels():
    with torch.device("meta"):
        module = MaskHead(256, 80, MaskHeadSettings(kind="linear", convolutions=2), pooled=14)
    shapes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters() if "weight" in name}
    assert shapes == {
        "hidden.0.weight": (1024, 14 * 14 * 256),
        "hidden.1.weight": (1024, 1024),
        "logits.weight": (80 * 28 * 28, 1024),
    }


def test_outputs_of_the_linear_head_are_ordered_map_row_column():
    module = head(kind="linear")
    with torch.no_grad():
        module.logits.weight.zero_()
        module.logits.bias.copy_(torch.arange(CLASSES * 36))
        logits = module(torch.randn(1, 3, 3, 4))
    assert [logits[0, 0, 0, 1], logits[0, 0, 1, 0], logits[0, 1, 0, 0]] == [1, 6, 36]


def test_the_head_of_c4_doubles_7_bins_without_convolutions():
    module = MaskHead(32, 80, MaskHeadSettings(convolutions=0), pooled=7)
    assert module(torch.randn(2, 7, 7, 32)).shape == (2, 80, 14, 14)
    assert {name for name, _ in module.named_parameters()} == {
        "upsamples.0.weight",
        "upsamples.0.bias",
        "logits.weight",
        "logits.bias",
    }


def test_a_head_of_56_pixels_doubles_twice_with_a_relu_between():
    module = head(convolutions=0, upsamples=2).double()
    pooled = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    features = pooled.permute(0, 3, 1, 2)
    for upsample in module.upsamples:
        features = upsample(features).relu()
    torch.testing.assert_close(module(pooled), module.logits(features), rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [settings for settings, _ in KINDS], ids=str)
@pytest.mark.parametrize("count", [4, 0])
def test_the_maps_of_the_labels_are_those_among_all(settings, count):
    module = head(**settings).double().eval()
    pooled = torch.randn(count, 3, 3, 4, dtype=torch.float64)
    labels, targets = torch.tensor([2, 0, 1, 2])[:count], torch.rand(count, module.size, module.size).double()
    of_all, chosen = module(pooled), module(pooled, labels)
    assert chosen.shape[1] == (1 if module.separate and module.settings.kind == "convolutions" else of_all.shape[1])
    masks = [module.probabilities(logits, labels) for logits in (of_all, chosen)]
    torch.testing.assert_close(masks[1], masks[0], rtol=0, atol=1e-12)
    parameters = list(module.parameters())
    losses = [module.cross_entropy(logits, labels, targets) for logits in (of_all, chosen)]
    for found, expected in zip(*(torch.autograd.grad(loss, parameters) for loss in reversed(losses)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_batch_norm_measures_the_boxes_and_nothing_that_is_added_to_them():
    module = head(norm="batch", convolutions=1).double()
    pooled = torch.randn(5, 3, 3, 4, dtype=torch.float64)
    module(pooled)
    layer = module.convolutions[0]
    seen = layer.convolution(pooled.permute(0, 3, 1, 2))
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * seen.mean(dim=(0, 2, 3)), rtol=0, atol=1e-12)
    module.eval()
    torch.testing.assert_close(module(pooled[:2]), module(pooled)[:2], rtol=0, atol=1e-12)


def test_an_empty_batch_leaves_the_statistics_of_a_batch_norm_finite():
    module = head(norm="batch")
    assert module(torch.zeros(0, 3, 3, 4)).shape == (0, CLASSES, 6, 6)
    assert all(buffer.isfinite().all() for buffer in module.buffers())


def test_the_loss_is_the_mean_over_the_true_classs_pixels():
    logits = torch.full((1, CLASSES, 1, 2), 99.0)
    logits[0, 1, 0] = torch.tensor([0.0, math.log(3)])
    loss = head(**SIGMOID).cross_entropy(logits, torch.tensor([1]), torch.tensor([[[1.0, 0.0]]]))
    # Probabilities of 1/2 for an object's pixel, and of 3/4 for one that is not.
    torch.testing.assert_close(loss, torch.tensor((math.log(2) + math.log(4)) / 2))


def test_a_class_agnostic_head_is_trained_on_its_only_map_whatever_the_class():
    logits = torch.tensor([0.0, math.log(3)]).expand(2, 1, 1, 2)
    loss = head(**AGNOSTIC).cross_entropy(logits, torch.tensor([1, 2]), torch.tensor([[1.0, 0.0]]).expand(2, 1, 2))
    torch.testing.assert_close(loss, torch.tensor((math.log(2) + math.log(4)) / 2))


def test_with_a_softmax_each_pixel_is_of_the_true_class_or_background():
    # Classes and background have odds of 1 : 2 : 1 : 4 in the first pixel and 1 : 5 : 1 : 1 in the second.
    odds = torch.tensor([[1.0, 1], [2, 5], [1, 1], [4, 1]])
    logits = odds.log()[None, :, None] + 7
    hard = head(**SOFTMAX).cross_entropy(logits, torch.tensor([1]), torch.tensor([[[0.0, 1.0]]]))
    torch.testing.assert_close(hard, torch.tensor((math.log(2) + math.log(8 / 5)) / 2))
    soft = head(**SOFTMAX).cross_entropy(logits, torch.tensor([1]), torch.tensor([[[0.25, 1.0]]]))
    expected = (0.25 * math.log(4) + 0.75 * math.log(2) + math.log(8 / 5)) / 2
    torch.testing.assert_close(soft, torch.tensor(expected))


def test_predictions_are_probabilities_of_the_predicted_class():
    logits, none = torch.randn(2, CLASSES + 1, 4, 4), torch.zeros(0, dtype=torch.int64)
    labels = torch.tensor([2, 0])
    found = head(**SIGMOID).probabilities(logits[:, :CLASSES], labels)
    assert torch.equal(found, torch.stack([logits[0, 2], logits[1, 0]]).sigmoid())
    shares = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(head(**SOFTMAX).probabilities(logits, labels), torch.stack([shares[0, 2], shares[1, 0]]))
    assert torch.equal(head(**AGNOSTIC).probabilities(logits[:, :1], labels), logits[:, 0].sigmoid())
    for settings in (SIGMOID, SOFTMAX, AGNOSTIC):
        assert head(**settings).probabilities(logits[:0], none).shape == (0, 4, 4)


def test_probabilities_are_not_left_in_half_precision():
    logits, labels = torch.randn(2, CLASSES, 4, 4), torch.tensor([2, 0])
    found = head(**SIGMOID).probabilities(logits.bfloat16(), labels)
    assert torch.equal(found, torch.stack([logits[0, 2], logits[1, 0]]).bfloat16().float().sigmoid())
    assert head(**SOFTMAX).probabilities(logits.double(), labels).dtype == torch.float64


def test_convolutions_meet_few_numbers_of_boxes_and_the_added_ones_change_nothing():
    head = MaskHead(4, 2, MaskHeadSettings(channels=5, convolutions=1), pooled=3).double()
    pooled, met = torch.randn(40, 3, 3, 4, dtype=torch.float64), set()
    head.convolutions[0].register_forward_hook(lambda layer, inputs, output: met.add(len(inputs[0])))
    together = head(pooled)
    for count in range(1, 41):
        assert torch.allclose(head(pooled[:count]), together[:count], atol=1e-12)
    assert met == {32, 64}
