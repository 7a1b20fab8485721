import pytest
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.model.build import build_model
from tests.model.small import small_settings


def test_heads_are_as_wide_as_their_settings_say():
    settings = small_settings(
        anchors={"sizes": (8, 16, 32, 48, 64), "ratios": (1.0, 2.0)},
        box_head={"pool_size": 5, "channels": 24},
        mask_head={"pool_size": 10, "channels": 12, "convolutions": 3},
    )
    model = build_model(settings, 7)
    assert model.rpn.logits.out_channels == 2
    assert model.rpn.deltas.out_channels == 8
    assert model.box_head.hidden1.in_features == 5 * 5 * 16
    assert model.box_head.logits.out_features == 7 + 1
    assert model.box_head.deltas.out_features == 7 * 4
    assert len(model.mask_head.convolutions) == 3
    assert model.mask_head.logits.weight.shape == (7, 12, 1, 1)
    assert (model.box_head.pool_size, model.mask_head.pool_size) == (5, 10)


def test_without_a_mask_head_it_is_faster_rcnn():
    model = build_model(small_settings(mask_head=None), 2)
    assert model.mask_head is None
    assert not [name for name in model.state_dict() if name.startswith("mask")]


def test_weights_are_channels_last():
    model = build_model(small_settings(), 2)
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    assert len(kernels) > 20
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("resnet50", 2048)])
def test_the_pyramid_fits_its_body(name, channels):
    settings = small_settings()
    settings.backbone.name = name
    assert build_model(settings, 2).fpn.lateral[-1].in_channels == channels


def test_the_default_model_has_as_many_parameters_as_torchvisions():
    import torchvision

    with torch.device("meta"):
        peer = torchvision.models.detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        ours = build_model(ModelSettings(), 90)
    # Theirs also have a box and a mask for the background, and scales in their norms.
    norms = sum(module.num_features * 2 for module in peer.modules() if isinstance(module, torch.nn.BatchNorm2d))
    background = 4 * (1024 + 1) + (256 + 1)
    theirs = sum(parameter.numel() for parameter in peer.parameters())
    assert sum(parameter.numel() for parameter in ours.parameters()) == theirs - norms - background
