import pytest
import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.errors import SettingError
from maskrcnn.model.norms import (
    FrozenBatchNorm,
    GroupNorm,
    NormedConvolution,
    affine_map,
    fold_norm,
    make_convolution,
    make_norm,
    takes_statistics,
)
from tests.model.small import fill_norms

KINDS = {"frozen_batch": FrozenBatchNorm, "batch": nn.BatchNorm2d, "sync_batch": nn.SyncBatchNorm, "group": GroupNorm}


def convolution(norm: str, **options) -> NormedConvolution:
    torch.manual_seed(0)
    module = NormedConvolution(4, 64, kernel=3, norm=norm, stride=2, epsilon=1e-3, **options)
    fill_norms(nn.ModuleDict({"one": module}))
    return module.double()


@pytest.mark.parametrize("options", [{}, {"groups": 2}, {"dilation": 2}], ids=str)
def test_a_frozen_norm_folded_into_its_convolution_gives_the_same(options):
    module = convolution("frozen_batch", **options)
    peer = FrozenBatchNorm2d(64, eps=1e-3).double()
    peer.load_state_dict(module.norm.state_dict())
    images = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    found = module(images)
    assert found.shape == (2, 64, 5, 4)
    torch.testing.assert_close(found, peer(module.convolution(images)), rtol=0, atol=1e-12)


def test_a_frozen_norm_alone_gives_the_same_as_torchvisions():
    norm = convolution("frozen_batch").norm
    peer = FrozenBatchNorm2d(64, eps=1e-3).double()
    peer.load_state_dict(norm.state_dict())
    features = torch.randn(2, 64, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(norm(features), peer(features), rtol=0, atol=1e-12)


def norm_by_hand() -> FrozenBatchNorm:
    norm = FrozenBatchNorm(1, epsilon=1.0)
    norm.weight.fill_(4), norm.bias.fill_(5), norm.running_mean.fill_(2), norm.running_var.fill_(3)
    return norm


def test_a_folded_norm_by_hand():
    # 4 / sqrt(3 + 1) = 2, and 5 - 2 * 2 = 1.
    assert [value.item() for value in affine_map(norm_by_hand())] == [2.0, 1.0]
    kernel = torch.full((1, 1, 1, 1), 10.0)
    assert [value.item() for value in fold_norm(kernel, norm_by_hand())] == [20.0, 1.0]
    assert [value.item() for value in fold_norm(kernel, norm_by_hand(), torch.tensor([3.0]))] == [20.0, 7.0]


def test_a_norm_without_statistics_cannot_be_folded():
    with pytest.raises(ValueError, match="mean and variance"):
        affine_map(nn.BatchNorm2d(3, track_running_stats=False))


@pytest.mark.parametrize(("norm", "kind"), KINDS.items())
def test_the_setting_chooses_the_norm_and_its_epsilon(norm, kind):
    module = convolution(norm)
    assert type(module.norm) is kind
    assert module.norm.eps == 1e-3
    assert type(make_norm(32, norm, 0.5)) is kind


def test_a_frozen_norm_has_no_parameters_and_lets_its_convolution_learn():
    module = convolution("frozen_batch")
    module(torch.randn(1, 4, 8, 8, dtype=torch.float64)).sum().backward()
    assert [name for name, _ in module.named_parameters()] == ["convolution.weight"]
    assert module.convolution.weight.grad.abs().sum() > 0


def test_a_norm_for_all_processes_also_learns_in_one():
    one, other = convolution("sync_batch"), convolution("batch")
    images = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(one(images), other(images), rtol=0, atol=1e-12)
    assert torch.equal(one.norm.running_mean, other.norm.running_mean)
    one(images).square().sum().backward()
    assert one.norm.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("norm", ["none", "batch", "sync_batch", "group"])
def test_a_convolution_without_norm_has_a_bias_instead(norm):
    module = make_convolution(4, 32, kernel=3, norm=norm, stride=2)
    names = {name for name, _ in module.named_parameters()}
    assert names == ({"weight", "bias"} if norm == "none" else {"convolution.weight", "norm.weight", "norm.bias"})
    assert module(torch.randn(2, 4, 7, 6)).shape == (2, 32, 4, 3)


def test_a_group_norm_in_single_precision_keeps_its_digits_where_channels_are_last():
    norm = make_norm(64, "group", 1e-5)
    features = torch.randn(1, 64, 60, 50, generator=torch.Generator().manual_seed(0)) + 3
    features = features.to(memory_format=torch.channels_last)
    found, expected = norm(features), norm.double()(features.double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=3e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_groups_need_channels_to_share():
    with pytest.raises(SettingError, match="norm=group: .*32.*48"):
        make_convolution(4, 48, kernel=3, norm="group")


@pytest.mark.parametrize(("norm", "expected"), list(zip(KINDS, (False, True, True, False))))
def test_only_norms_that_measure_take_statistics(norm, expected):
    module = convolution(norm)
    assert takes_statistics(module) == expected
    assert not takes_statistics(module.eval())
