import sys

import pytest
import torch
from torch import nn

from maskrcnn.config import BackboneSettings, NeckSettings
from maskrcnn.errors import SettingError
from maskrcnn.model.backbones.timm import TimmBackbone
from maskrcnn.model.necks import FPN

timm = pytest.importorskip("timm")
SWIN = "swin_tiny_patch4_window7_224"


def backbone(name: str, *, channels: int = 3, norm: str = "frozen_batch", frozen_stages: int = 0) -> TimmBackbone:
    settings = BackboneSettings(name=f"timm/{name}", norm=norm, frozen_stages=frozen_stages)
    return TimmBackbone(settings, channels=channels)


@pytest.mark.parametrize(("name", "width"), [("convnext_atto", 40), (SWIN, 96)])
def test_maps_of_strides_4_to_32_go_through_a_pyramid_and_learn(name, width):
    # Neither size is a multiple of Swin's windows of 7.
    torch.manual_seed(0)
    model = backbone(name, channels=4)
    pyramid = FPN(model.channels, NeckSettings(channels=8), roi_levels=model.roi_levels)
    maps = model(torch.randn(1, 4, 64, 96))
    sizes = {level: tuple(map.shape[1:]) for level, map in maps.items()}
    assert sizes == {level: (width * 2**i, 16 // 2**i, 24 // 2**i) for i, level in enumerate((2, 3, 4, 5))}
    sum(map.square().mean() for map in pyramid(maps).values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_maps_are_those_of_timm_with_channels_first():
    model = backbone(SWIN)
    peer = timm.create_model(SWIN, features_only=True, strict_img_size=False)
    peer.load_state_dict(model.network.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for found, expected in zip(model.eval()(images).values(), peer.eval()(images), strict=True):
            assert torch.equal(found.permute(0, 2, 3, 1), expected)


def test_finer_maps_than_stride_4_are_left_out():
    model = backbone("resnet18")
    assert model.channels == {2: 64, 3: 128, 4: 256, 5: 512}
    assert {level: map.shape[1] for level, map in model(torch.zeros(1, 3, 64, 64)).items()} == model.channels


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("convnext_atto", ("stem_1", "stages_0", "stages_1", "stages_2", "stages_3")),
        ("resnet18", ("conv1", "layer1", "layer2", "layer3", "layer4")),
    ],
)
@pytest.mark.parametrize("stages", range(6))
def test_stages_are_frozen_from_the_stem_on(name, ends, stages):
    model = backbone(name, frozen_stages=stages, norm="batch").network
    learning = {child: any(one.requires_grad for one in part.parameters()) for child, part in model.named_children()}
    names = list(learning)
    frozen = names[: names.index(ends[stages - 1]) + 1] if stages else []
    if name == "resnet18" and stages == 1:
        frozen = ["conv1", "bn1", "act1", "maxpool"]
    with_weights = [child for child in names if list(getattr(model, child).parameters())]
    assert [child for child in with_weights if not learning[child]] == [
        child for child in frozen if child in with_weights
    ]


@pytest.mark.parametrize(("norm", "counts"), [("frozen_batch", (0, 0)), ("batch", (15, 0)), ("sync_batch", (0, 15))])
def test_the_setting_counts_for_batch_norms(norm, counts):
    modules = list(backbone("resnet18", norm=norm, frozen_stages=2).network.modules())
    assert (
        sum(isinstance(one, nn.BatchNorm2d) for one in modules),
        sum(isinstance(one, nn.SyncBatchNorm) for one in modules),
    ) == counts


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("convnext_tinny", {}, "timm/convnext_tinny: .*timm/convnext_tiny"),
        ("qqqqqqqq", {}, "timm/qqqqqqqq: "),
        ("vit_tiny_patch16_224", {}, "timm/vit_tiny_patch16_224.* 16, 16, 16.* 4"),
        ("convnext_atto", {"norm": "group"}, "norm=group: timm/convnext_atto"),
        ("hrnet_w18_small", {"frozen_stages": 2}, "frozen_stages=2: .*hrnet_w18_small"),
    ],
)
def test_what_cannot_be_a_backbone_is_named_with_a_way_out(name, options, message):
    with pytest.raises(SettingError, match=message):
        backbone(name, **options)


def test_without_timm_its_networks_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SettingError, match=r"backbone.name=timm/resnet18: .*maskrcnn\[timm\]"):
        backbone("resnet18")
