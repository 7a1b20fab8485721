import pytest
import torch

from maskrcnn.weights.detectron2 import read_detectron2
from maskrcnn.weights.to_detectron2 import to_detectron2

from .peers import detectron2_state
from .test_detectron2 import KINDS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("r101", "resnext")])
def test_there_and_back_every_tensor_is_the_same_bit_for_bit(kind):
    state = detectron2_state(**KINDS[kind])
    written = to_detectron2(read_detectron2(state, f"{kind}.pkl"))
    assert written.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(written[name], tensor), name
        assert written[name].dtype == tensor.dtype


def test_what_old_files_hold_beside_the_weights_comes_back():
    state = detectron2_state()
    state["proposal_generator.anchor_generator.cell_anchors.0"] = torch.rand(3, 4)
    state["pixel_mean"] = torch.tensor([[[103.53]], [[116.28]], [[123.675]]])
    state["pixel_std"] = torch.ones(3, 1, 1)
    written = to_detectron2(read_detectron2(state, "old.pkl"))
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in state.items())


def test_what_came_from_another_library_is_not_written():
    weights = read_detectron2(detectron2_state(), "x")
    weights.notes["format"] = "torchvision"
    weights.extra["roi_heads.box_predictor.bbox_pred.weight"] = torch.zeros(4, 16)
    assert to_detectron2(weights)["roi_heads.box_predictor.bbox_pred.weight"].shape == (12, 16)
