import pytest
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from maskrcnn.config import ModelSettings
from maskrcnn.errors import WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.weights.categories import name_classes
from maskrcnn.weights.files import Weights
from maskrcnn.weights.to_torchvision import to_torchvision
from maskrcnn.weights.torchvision import read_torchvision

from .test_torchvision import SIX, old_name

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


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("name", SIX)
def test_there_and_back_every_tensor_of_the_six_models_is_the_same_bit_for_bit(name):
    state = numbered(name)
    assert_same(to_torchvision(read_torchvision(state, name)), state)


@pytest.mark.parametrize("name", SIX)
def test_the_order_is_torchvision_s_whatever_the_order_in_our_file(name):
    state = numbered(name)
    assert list(to_torchvision(read_torchvision(dict(sorted(state.items())), name))) == list(state)


def test_names_of_the_first_generation_come_back_too():
    old = {old_name(name): tensor for name, tensor in numbered("maskrcnn_resnet50_fpn").items()}
    assert_same(to_torchvision(read_torchvision(old, "old.pth")), old)
    assert list(to_torchvision(read_torchvision(old, "old.pth"))) == list(old)


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
    with pytest.raises(WeightsError, match="no form for a box head of 0 convolutions and 1 linear layers"):
        to_torchvision(Weights({}, settings, name_classes(3)))
