import pytest
import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.config import BackboneSettings
from maskrcnn.model.norms import FrozenBatchNorm, NormedConvolution
from tests.model.small import fill_norms


def convolution(norm: str, *, frozen: bool = False, epsilon: float = 1e-3) -> NormedConvolution:
    torch.manual_seed(0)
    module = NormedConvolution(
        3, 64, kernel=3, stride=2, frozen=frozen, settings=BackboneSettings(norm=norm, norm_epsilon=epsilon)
    )
    fill_norms(nn.ModuleDict({"one": module}))
    return module.double()


def test_a_frozen_norm_folded_into_its_convolution_gives_the_same():
    module = convolution("frozen_batch")
    peer = FrozenBatchNorm2d(64, eps=1e-3).double()
    peer.load_state_dict(module.norm.state_dict())
    images = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(module(images), peer(module.convolution(images)), rtol=0, atol=1e-12)


def test_a_frozen_norm_by_hand():
    norm = FrozenBatchNorm(1, epsilon=1.0)
    norm.weight.fill_(4), norm.bias.fill_(5), norm.running_mean.fill_(2), norm.running_var.fill_(3)
    weight, bias = norm.fold_into(torch.full((1, 1, 1, 1), 10.0))
    # 4 / sqrt(3 + 1) = 2, and 5 - 2 * 2 = 1.
    assert (weight.item(), bias.item()) == (20.0, 1.0)


@pytest.mark.parametrize(
    ("norm", "frozen", "kind"),
    [
        ("frozen_batch", False, FrozenBatchNorm),
        ("batch", False, nn.BatchNorm2d),
        ("batch", True, FrozenBatchNorm),
        ("group", False, nn.GroupNorm),
        ("group", True, nn.GroupNorm),
    ],
)
def test_the_setting_chooses_the_norm(norm, frozen, kind):
    module = convolution(norm, frozen=frozen)
    assert isinstance(module.norm, kind)
    assert all(parameter.requires_grad != frozen for parameter in module.parameters())


def test_a_frozen_norm_has_no_parameters_and_lets_its_convolution_learn():
    module = convolution("frozen_batch")
    module(torch.randn(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    assert [name for name, _ in module.named_parameters()] == ["convolution.weight"]
    assert module.convolution.weight.grad.abs().sum() > 0


def test_counting_norms_get_the_epsilon_of_the_settings():
    assert convolution("batch").norm.eps == 1e-3
