import pytest
import torch
import torchvision.models
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.config import BackboneSettings
from maskrcnn.model.resnet import BLOCKS, ResNet
from maskrcnn.weights.torchvision import rename

LAYERS = {f"layer{number}": number + 1 for number in (1, 2, 3, 4)}


def ours(name: str, norm: str = "frozen_batch", frozen_stages: int = 0) -> ResNet:
    return ResNet(BackboneSettings(name=name, norm=norm, frozen_stages=frozen_stages))


def peer_of(model: ResNet, name: str, norm_layer) -> torch.nn.Module:
    """torchvision's network with random weights, given to ours through the name table."""
    torch.manual_seed(0)
    peer = getattr(torchvision.models, name)(weights=None, norm_layer=norm_layer)
    for key, tensor in peer.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif "bn" in key or "downsample.1" in key:
            # A factor below 1 keeps the features of 50 blocks small.
            tensor.copy_(torch.empty(tensor.shape).normal_(0.5 if key.endswith("weight") else 0.0, 0.1))
    state = {rename(f"backbone.body.{key}"): value for key, value in peer.state_dict().items()}
    state = {key.removeprefix("body."): value for key, value in state.items() if key is not None}
    model.load_state_dict(state)
    model.double()
    return IntermediateLayerGetter(peer.double(), LAYERS)


@pytest.mark.parametrize("name", BLOCKS)
def test_features_of_every_depth_equal_torchvisions(name):
    model = ours(name)
    peer = peer_of(model, name, FrozenBatchNorm2d)
    images = torch.randn(1, 3, 70, 64, dtype=torch.float64)
    with torch.no_grad():
        found, expected = model(images), peer(images)
    assert list(found) == [2, 3, 4, 5]
    for level, map in found.items():
        assert map.shape[1] == model.channels[level - 2]
        torch.testing.assert_close(map, expected[level], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
def test_features_with_counting_norms_equal_torchvisions(training):
    model = ours("resnet18", norm="batch")
    peer = peer_of(model, "resnet18", torch.nn.BatchNorm2d)
    model.train(training), peer.train(training)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    found, expected = model(images), peer(images)
    for level, map in found.items():
        torch.testing.assert_close(map, expected[level], rtol=1e-10, atol=1e-10)


def test_levels_have_strides_of_4_to_32():
    with torch.no_grad():
        sizes = {level: tuple(map.shape[-2:]) for level, map in ours("resnet18")(torch.zeros(1, 3, 64, 96)).items()}
    assert sizes == {2: (16, 24), 3: (8, 12), 4: (4, 6), 5: (2, 3)}


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "group"])
@pytest.mark.parametrize("frozen_stages", range(6))
def test_only_the_stages_that_are_not_frozen_learn(norm, frozen_stages):
    model = ours("resnet18", norm=norm, frozen_stages=frozen_stages)
    stages = [model.stem, *model.stages]
    learning = [{parameter.requires_grad for parameter in stage.parameters()} for stage in stages]
    assert learning == [{number >= frozen_stages} for number in range(5)]


def test_group_norms_stand_after_every_convolution():
    model = ours("resnet50", norm="group")
    convolutions = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, torch.nn.GroupNorm)]
    assert len(convolutions) == len(norms) == 53
    assert {norm.num_groups for norm in norms} == {32}
    assert not list(model.buffers())


@pytest.mark.parametrize(("name", "channels"), [("resnet18", (32, 64, 128, 256)), ("resnet50", (128, 256, 512, 1024))])
def test_a_narrow_body_has_half_the_channels(name, channels):
    model = ResNet(BackboneSettings(name=name, width=32, norm="group", frozen_stages=0))
    levels = model(torch.zeros(1, 3, 64, 64))
    assert model.channels == tuple(features.shape[1] for features in levels.values()) == channels
