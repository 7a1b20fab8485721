import re

import pytest
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection import FasterRCNN, MaskRCNN, keypointrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.errors import WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.weights.torchvision import find_depth, is_torchvision, read_torchvision, rename

CLASSES = 3
BEFORE_0_13 = [
    (r"(inner_blocks|layer_blocks)\.(\d)\.0\.", r"\1.\2."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
]


def peer(kind: type = MaskRCNN, norm_layer: type = FrozenBatchNorm2d) -> dict[str, Tensor]:
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=norm_layer)
    return kind(backbone, num_classes=CLASSES + 1).state_dict()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return peer()


def old_name(name: str) -> str:
    for pattern, replacement in BEFORE_0_13:
        name = re.sub(pattern, replacement, name)
    return name


def test_every_tensor_finds_its_place_in_our_model(state):
    translated, settings, classes = read_torchvision(state, "file.pth")
    assert classes == CLASSES
    build_model(settings, classes).load_state_dict(translated, strict=True)


def test_names_of_both_generations_mean_the_same(state):
    old = {old_name(name): tensor for name, tensor in state.items()}
    assert len(old.keys() - state.keys()) == 2 * (4 + 4 + 1 + 4)
    assert is_torchvision(old)
    found, settings, _ = read_torchvision(old, "old.pth")
    expected, expected_settings, _ = read_torchvision(state, "new.pth")
    assert settings == expected_settings
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.body.conv1.weight", "body.stem.convolution.weight"),
        ("backbone.body.layer3.22.bn2.running_var", "body.stages.2.22.step2.norm.running_var"),
        ("backbone.body.layer2.0.downsample.0.weight", "body.stages.1.0.shortcut.convolution.weight"),
        ("backbone.body.layer2.0.downsample.1.bias", "body.stages.1.0.shortcut.norm.bias"),
        ("backbone.fpn.inner_blocks.3.0.bias", "fpn.lateral.3.bias"),
        ("backbone.fpn.layer_blocks.3.bias", "fpn.output.3.bias"),
        ("rpn.head.conv.0.0.weight", "rpn.convolution.weight"),
        ("roi_heads.mask_head.mask_fcn4.weight", "mask_head.convolutions.3.weight"),
        ("roi_heads.mask_head.3.0.weight", "mask_head.convolutions.3.weight"),
        # A second convolution, or a norm, where our model has none.
        ("rpn.head.conv.1.0.weight", None),
        ("backbone.fpn.inner_blocks.3.1.running_var", None),
        ("roi_heads.mask_head.3.1.weight", None),
        ("roi_heads.box_head.0.0.weight", None),
        ("backbone.body.layer5.0.other.weight", None),
    ],
)
def test_names(theirs, ours):
    assert rename(theirs) == ours


def test_background_goes_to_the_last_class_and_leaves_boxes_and_masks(state):
    translated, _, _ = read_torchvision(state, "file.pth")
    for part in ("weight", "bias"):
        logits = state[f"roi_heads.box_predictor.cls_score.{part}"]
        assert torch.equal(translated[f"box_head.logits.{part}"], logits[[1, 2, 3, 0]])
        deltas = state[f"roi_heads.box_predictor.bbox_pred.{part}"]
        assert torch.equal(translated[f"box_head.deltas.{part}"], deltas[4:])
        masks = state[f"roi_heads.mask_predictor.mask_fcn_logits.{part}"]
        assert torch.equal(translated[f"mask_head.logits.{part}"], masks[1:])


def test_the_first_layer_reads_bins_before_channels(state):
    translated, _, _ = read_torchvision(state, "file.pth")
    pooled = torch.randn(2, 256, 7, 7)
    expected = pooled.flatten(1) @ state["roi_heads.box_head.fc6.weight"].T
    found = pooled.permute(0, 2, 3, 1).flatten(1) @ translated["box_head.hidden1.weight"].T
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_settings_are_read_from_the_shapes(state):
    _, settings, _ = read_torchvision(state, "file.pth")
    assert settings.backbone.name == "resnet18"
    assert (settings.fpn.channels, settings.box_head.channels) == (256, 1024)
    assert (settings.mask_head.channels, settings.mask_head.convolutions) == (256, 4)


def test_a_file_without_masks_is_faster_rcnn():
    translated, settings, classes = read_torchvision(peer(FasterRCNN), "file.pth")
    assert settings.mask_head is None
    build_model(settings, classes).load_state_dict(translated, strict=True)


def test_frozen_norms_add_nothing_to_the_variance_and_counting_ones_do(state):
    assert read_torchvision(state, "file.pth")[1].backbone.norm_epsilon == 0
    counting = peer(norm_layer=torch.nn.BatchNorm2d)
    translated, settings, classes = read_torchvision(counting, "file.pth")
    assert settings.backbone.norm_epsilon == 1e-5
    build_model(settings, classes).load_state_dict(translated, strict=True)


@pytest.mark.parametrize(
    ("model", "first"),
    [
        (maskrcnn_resnet50_fpn_v2, "backbone.fpn.inner_blocks.0.1.weight"),
        (keypointrcnn_resnet50_fpn, "keypoint_head.0"),
    ],
    ids=["second version", "keypoints"],
)
def test_a_model_of_another_kind_is_refused_with_the_tensors_that_have_no_place(model, first):
    with torch.device("meta"):
        state = model(weights=None, weights_backbone=None).state_dict()
    with pytest.raises(WeightsError, match=rf"^other.pth: \d+ tensors have no place .* the first of them .*{first}"):
        read_torchvision(state, "other.pth")


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_the_depth_is_counted(name):
    with torch.device("meta"):
        body = getattr(torchvision.models, name)(weights=None).state_dict()
    assert find_depth({f"backbone.body.{key}": tensor for key, tensor in body.items()}, "file.pth") == name


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2"])
def test_a_body_that_is_no_plain_resnet_is_refused(name):
    with torch.device("meta"):
        body = getattr(torchvision.models, name)(weights=None).state_dict()
    with pytest.raises(WeightsError, match="file.pth: its layer1 is 128 channels wide and its layer3 has 6 blocks"):
        find_depth({f"backbone.body.{key}": tensor for key, tensor in body.items()}, "file.pth")


def test_other_state_dicts_are_not_taken_for_a_detector(state):
    assert is_torchvision(state)
    assert not is_torchvision({})
    assert not is_torchvision({name: tensor for name, tensor in state.items() if "cls_score" not in name})
