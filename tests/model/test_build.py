import pytest
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.errors import SettingError
from maskrcnn.model.build import build_model
from maskrcnn.model.heads.mask import MaskHead
from tests.model.small import CLASSES, objects, small_batch, small_settings


def test_heads_are_as_wide_as_their_settings_say():
    settings = small_settings(
        anchors={"sizes": (8, 16, 32, 48, 64), "ratios": (1.0, 2.0)},
        box_head={"pool_size": 5, "channels": 24},
        mask_head={"pool_size": 10, "channels": 12, "convolutions": 3},
    )
    model = build_model(settings, 7)
    assert model.rpn.logits.out_channels == 2
    assert model.rpn.deltas.out_channels == 8
    box_head, mask_head = model.box_head[0], model.mask_head
    assert box_head.hidden[0].in_features == 5 * 5 * 16
    assert box_head.logits.out_features == 7 + 1
    assert box_head.deltas.out_features == 7 * 4
    assert len(mask_head.convolutions) == 3
    assert mask_head.logits.weight.shape == (7, 12, 1, 1)
    assert mask_head.size == 20


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
def test_the_pyramid_fits_its_backbone(name, channels):
    settings = small_settings()
    settings.backbone.name = name
    assert build_model(settings, 2).neck.lateral[-1].in_channels == channels


VARIANTS = {
    "c4": {"neck": {"name": "c4"}, "anchors": {"sizes": [[16, 32]]}, "box_head": {"linear_layers": 0}},
    "c4 with linear layers": {"neck": {"name": "c4"}, "anchors": {"sizes": [[16, 32]]}},
    "c5": {"neck": {"name": "c5"}, "anchors": {"sizes": [[16, 32]]}},
    "dilated": {"neck": {"name": "c5"}, "anchors": {"sizes": [[16, 32]]}, "backbone.dilate_stage5": True},
    "cascade": {"cascade": {"mask_head_per_stage": True}, "box_head.class_agnostic": True},
    "keypoints": {"keypoint_head": {"channels": 8, "convolutions": 1}},
    "panoptic": {"semantic_head": {"classes": 3, "channels": 32}},
    "mobilenet": {
        "backbone": {"name": "mobilenet_v3_large", "frozen_stages": 0},
        "anchors": {"sizes": [[16], [32], [64]]},
    },
    "newer heads": {
        "rpn": {"convolutions": 2, "pre_nms_top_n": 50, "post_nms_top_n": 30},
        "neck": {"channels": 32, "norm": "batch"},
        "box_head.convolutions": 1,
        "box_head.convolution_channels": 32,
        "box_head.norm": "batch",
    },
    "pool": {"roi": {"method": "pool"}},
    "warp": {"roi": {"method": "warp"}},
    "greyscale": {"input": {"mean": [0.4], "std": [0.2]}},
}
"""Dotted keys change one setting of the small model's, plain ones a whole section."""


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_predicts(name):
    settings = variant(VARIANTS[name])
    torch.manual_seed(0)
    model = build_model(settings, CLASSES, keypoints=3)
    batch = small_batch(objects((5, 5, 30, 40), (50, 10, 90, 30)), channels=settings.input.channels)
    batch.targets[0].keypoints = torch.tensor([[[10.0, 10.0, 2.0]] * 3] * 2)
    batch.semantic = torch.zeros(1, *batch.sizes[0], dtype=torch.uint8)
    losses = model(batch)
    sum(losses.values()).backward()
    without = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    assert without == []
    found = model.eval().predict(batch)[0]
    assert len(found) > 0
    assert (found.keypoints is not None) == (settings.keypoint_head is not None)
    assert (found.panoptic is not None) == (settings.semantic_head is not None)


def variant(changes: dict) -> ModelSettings:
    tree = small_settings().model_dump()
    for key, value in changes.items():
        section, _, name = key.partition(".")
        tree = tree | {section: tree[section] | {name: value} if name else value}
    return ModelSettings.model_validate(tree)


def test_a_head_that_does_not_fit_is_refused():
    with pytest.raises(SettingError, match="keypoint_head: "):
        build_model(variant(VARIANTS["keypoints"]), 2)
    with pytest.raises(SettingError, match=r"semantic_head: .*neck\.name=fpn.*c4"):
        build_model(variant(VARIANTS["c4"] | VARIANTS["panoptic"]), 2)
    with pytest.raises(SettingError, match=r"neck\.name=c4: "):
        build_model(variant(VARIANTS["mobilenet"] | VARIANTS["c4"]), 2)


def test_stages_of_a_cascade_have_a_mask_head_each_if_asked():
    model = build_model(variant(VARIANTS["cascade"]), 2)
    assert (len(model.box_head), len(model.mask_head)) == (3, 3)
    one = build_model(variant({"cascade": {}}), 2)
    assert (len(one.box_head), type(one.mask_head)) == (3, MaskHead)


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
