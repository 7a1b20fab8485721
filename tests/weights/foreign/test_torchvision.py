import re
from functools import partial

import pytest
import torch
import torchvision.models.detection as peers
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from maskrcnn.config import ModelSettings
from maskrcnn.errors import WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.weights.foreign.names import name_classes
from maskrcnn.weights.foreign.torchvision import is_torchvision, read_torchvision, to_torchvision
from maskrcnn.weights.own import Weights
from tests.builders.checkpoints import CLASSES, torchvision_state

BEFORE_0_13 = [
    (r"(inner_blocks|layer_blocks)\.(\d)\.0\.", r"\1.\2."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
]
SIX = {
    "fasterrcnn_resnet50_fpn": partial(peers.fasterrcnn_resnet50_fpn, num_classes=91),
    "maskrcnn_resnet50_fpn": partial(peers.maskrcnn_resnet50_fpn, num_classes=91),
    "keypointrcnn_resnet50_fpn": partial(peers.keypointrcnn_resnet50_fpn, num_classes=2, num_keypoints=17),
    "fasterrcnn_resnet50_fpn_v2": partial(peers.fasterrcnn_resnet50_fpn_v2, num_classes=91),
    "maskrcnn_resnet50_fpn_v2": partial(peers.maskrcnn_resnet50_fpn_v2, num_classes=91),
    "fasterrcnn_mobilenet_v3_large_fpn": partial(peers.fasterrcnn_mobilenet_v3_large_fpn, num_classes=91),
}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return torchvision_state()


@pytest.fixture(scope="module")
def weights(state) -> Weights:
    return read_torchvision(state, "file.pth")


def old_name(name: str) -> str:
    for pattern, replacement in BEFORE_0_13:
        name = re.sub(pattern, replacement, name)
    return name


def read_meta(name: str) -> Weights:
    with torch.device("meta"):
        return read_torchvision(SIX[name](weights=None, weights_backbone=None).state_dict(), name)


@pytest.mark.parametrize("name", SIX)
def test_every_tensor_of_the_six_models_finds_its_place_in_ours(name):
    read_meta(name).check()


def test_names_of_both_generations_mean_the_same(state, weights):
    old = {old_name(name): tensor for name, tensor in state.items()}
    assert len(old.keys() - state.keys()) == 2 * (4 + 4 + 1 + 4)
    assert is_torchvision(old)
    found = read_torchvision(old, "old.pth")
    assert found.settings == weights.settings
    assert found.state.keys() == weights.state.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in weights.state.items())


def test_background_goes_to_the_last_class_and_its_boxes_and_masks_are_kept_apart(state, weights):
    assert len(weights.classes) == CLASSES
    for part in ("weight", "bias"):
        logits = state[f"roi_heads.box_predictor.cls_score.{part}"]
        assert torch.equal(weights.state[f"box_head.0.logits.{part}"], logits[[1, 2, 3, 0]])
        for theirs, ours, rows in (
            ("roi_heads.box_predictor.bbox_pred", "box_head.0.deltas", 4),
            ("roi_heads.mask_predictor.mask_fcn_logits", "mask_head.logits", 1),
        ):
            tensor = state[f"{theirs}.{part}"]
            assert torch.equal(weights.state[f"{ours}.{part}"], tensor[rows:])
            assert torch.equal(weights.extra[f"{theirs}.{part}"], tensor[:rows])


def test_frozen_norms_add_nothing_to_the_variance_and_counting_ones_do(weights):
    assert weights.settings.backbone.norm_epsilon == 0
    counting = read_torchvision(torchvision_state(norm_layer=torch.nn.BatchNorm2d), "file.pth")
    assert (counting.settings.backbone.norm_epsilon, counting.settings.backbone.norm) == (1e-5, "batch")
    counting.check()
    assert "backbone.body.bn1.num_batches_tracked" in counting.extra


def test_the_second_version_has_deeper_heads_with_norms():
    settings = read_meta("maskrcnn_resnet50_fpn_v2").settings
    assert (settings.rpn.convolutions, settings.box_head.convolutions, settings.box_head.linear_layers) == (2, 4, 1)
    assert [settings.neck.norm, settings.box_head.norm, settings.mask_head.norm] == ["batch"] * 3
    assert settings.backbone.norm_epsilon == 1e-5


def test_mobilenet_has_three_levels_of_five_sizes_and_a_limit_on_proposals():
    settings = read_meta("fasterrcnn_mobilenet_v3_large_fpn").settings
    assert settings.backbone.name == "mobilenet_v3_large"
    assert settings.anchors.sizes == ((32, 64, 128, 256, 512),) * 3
    assert settings.rpn.score_threshold == 0.05
    assert settings.backbone.norm_epsilon == 1e-5


def test_keypoints_are_a_person_s():
    classes = read_meta("keypointrcnn_resnet50_fpn").classes
    assert (classes.names, classes.category_ids, classes.keypoint_count) == (("person",), (1,), 17)


PRIME = 251
FIRST = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn")


def numbered(name: str) -> dict[str, Tensor]:
    """A checkpoint of torchvision with numbers that change from place to place, one byte each to be quick."""
    with torch.device("meta"):
        state = SIX[name](weights=None, weights_backbone=None).state_dict()
    if name in FIRST:  # published with frozen norms
        state = {key: one for key, one in state.items() if not key.endswith("num_batches_tracked")}
    row = torch.arange(PRIME, dtype=torch.uint8)
    return {
        key: row.roll(place).repeat(one.numel() // PRIME + 1)[: one.numel()].view(one.shape)
        for place, (key, one) in enumerate(state.items())
    }


@pytest.mark.parametrize(("name", "old"), [*((name, False) for name in SIX), *((name, True) for name in FIRST)])
def test_there_and_back_every_tensor_is_the_same_in_the_same_order_whatever_the_order_in_our_file(name, old):
    state = {old_name(key) if old else key: tensor for key, tensor in numbered(name).items()}
    written = to_torchvision(read_torchvision(dict(sorted(state.items())), name))
    assert list(written) == list(state)
    for key, tensor in state.items():
        assert written[key].dtype == tensor.dtype, key
        assert torch.equal(written[key], tensor), key


def test_a_model_of_our_own_is_loaded_by_torchvision_with_rows_of_zeros_for_the_background():
    settings = ModelSettings.model_validate({"backbone": {"name": "resnet18"}, "neck": {"channels": 256}})
    model = build_model(settings, 3)
    state = to_torchvision(Weights(model.state_dict(), settings, name_classes(3)))
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    peer = MaskRCNN(backbone, num_classes=4)
    peer.load_state_dict(state, strict=True)
    assert not peer.roi_heads.box_predictor.bbox_pred.weight[:4].any()
    assert not peer.roi_heads.mask_predictor.mask_fcn_logits.bias[:1].any()
    assert torch.equal(peer.roi_heads.box_predictor.cls_score.weight[0], model.box_head[0].logits.weight[3])


def test_another_number_of_layers_in_the_box_head_has_no_form():
    settings = ModelSettings.model_validate({"box_head": {"linear_layers": 1}})
    with pytest.raises(WeightsError, match="0 convolutions and 1 linear"):
        to_torchvision(Weights({}, settings, name_classes(3)))
