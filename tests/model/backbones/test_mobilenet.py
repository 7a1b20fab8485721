import pytest
import torch
from torch import nn
from torchvision.models.detection.backbone_utils import mobilenet_backbone

from maskrcnn.config import BackboneSettings, NeckSettings
from maskrcnn.errors import SettingError
from maskrcnn.model.backbones.mobilenet import MobileNet
from maskrcnn.model.necks import FPN
from maskrcnn.model.norms import FrozenBatchNorm


def ours(norm: str = "frozen_batch", *, channels: int = 3, frozen_stages: int = 0) -> MobileNet:
    settings = BackboneSettings(name="mobilenet_v3_large", norm=norm, frozen_stages=frozen_stages)
    return MobileNet(settings, channels=channels)


def peer(trainable: int = 6) -> nn.Module:
    torch.manual_seed(0)
    model = mobilenet_backbone(
        backbone_name="mobilenet_v3_large",
        weights=None,
        fpn=True,
        trainable_layers=trainable,
        norm_layer=nn.BatchNorm2d,
    )
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    return model.double().eval()


def test_maps_through_the_pyramid_equal_torchvisions():
    other = peer()
    backbone = ours()
    pyramid = FPN(backbone.channels, NeckSettings(), roi_levels=backbone.roi_levels)
    state = other.state_dict()
    for name, tensor in backbone.state_dict().items():
        tensor.copy_(state[name.replace("features.", "body.")])
    for name, tensor in pyramid.state_dict().items():
        kind, level, leaf = name.split(".")
        tensor.copy_(state[f"fpn.{'inner' if kind == 'lateral' else 'layer'}_blocks.{level}.0.{leaf}"])
    images = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        found, expected = pyramid.double()(backbone.double()(images)), other(images)
    assert {level: tuple(map.shape[-2:]) for level, map in found.items()} == {5: (2, 3), 6: (2, 3), 7: (1, 2)}
    assert (backbone.channels, pyramid.roi_levels) == ({5: 160, 6: 960}, (5,))
    for map, other_map in zip(found.values(), expected.values(), strict=True):
        torch.testing.assert_close(map, other_map, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frozen_stages", range(6))
def test_the_same_layers_learn_as_in_torchvision(frozen_stages):
    learning = {
        name
        for name, parameter in ours("batch", frozen_stages=frozen_stages).named_parameters()
        if parameter.requires_grad
    }
    expected = {
        name.replace("body.", "features.")
        for name, parameter in peer(6 - frozen_stages).named_parameters()
        if parameter.requires_grad and name.startswith("body.")
    }
    assert learning == expected


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "sync_batch"])
def test_norms_of_frozen_layers_do_not_measure(norm):
    backbone = ours(norm, frozen_stages=2)
    kinds = [{type(one) for one in layer.modules() if hasattr(one, "running_mean")} for layer in backbone.features]
    expected = {"frozen_batch": FrozenBatchNorm, "batch": nn.BatchNorm2d, "sync_batch": nn.SyncBatchNorm}[norm]
    assert kinds == [{FrozenBatchNorm}] * 4 + [{expected}] * 13
    assert {one.eps for one in backbone.modules() if isinstance(one, FrozenBatchNorm | expected)} == {1e-5}


def test_images_may_have_other_numbers_of_channels():
    assert ours(channels=5)(torch.zeros(1, 5, 32, 32))[6].shape == (1, 960, 1, 1)


def test_group_norms_are_refused():
    with pytest.raises(SettingError, match=r"norm=group: .*mobilenet_v3_large.*frozen_batch"):
        ours("group")
