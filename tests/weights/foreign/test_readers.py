"""What the readers of all other libraries have in common."""

from functools import cache

import pytest
import torch
from torch import Tensor

from maskrcnn.errors import WeightsError
from maskrcnn.weights.foreign.backbones import read_backbone
from maskrcnn.weights.foreign.detectron import (
    is_detectron,
    is_maskrcnn_benchmark,
    read_detectron,
    read_maskrcnn_benchmark,
)
from maskrcnn.weights.foreign.detectron2 import is_detectron2, read_detectron2
from maskrcnn.weights.foreign.mmdetection import is_mmdetection, read_mmdetection
from maskrcnn.weights.foreign.torchvision import is_torchvision, read_torchvision
from maskrcnn.weights.reading import understand
from tests.builders.checkpoints import (
    CLASSES,
    benchmark_state,
    detectron2_state,
    detectron_state,
    mmdetection_state,
    random_resnet,
    torchvision_state,
)

RECOGNIZES = {
    "torchvision": is_torchvision,
    "detectron2": is_detectron2,
    "mmdetection": is_mmdetection,
    "Detectron": is_detectron,
    "maskrcnn-benchmark": is_maskrcnn_benchmark,
}
MAKE = {
    "torchvision": torchvision_state,
    "detectron2": detectron2_state,
    "mmdetection": mmdetection_state,
    "Detectron": detectron_state,
    "maskrcnn-benchmark": benchmark_state,
}
READ = {
    "torchvision": read_torchvision,
    "detectron2": read_detectron2,
    "mmdetection": read_mmdetection,
    "Detectron": read_detectron,
    "maskrcnn-benchmark": read_maskrcnn_benchmark,
    "a backbone": read_backbone,
}
# The first linear layer of the box head, the convolution of the RPN, and the layer of the classes.
LAYERS = {
    "torchvision": ("roi_heads.box_head.fc6", "rpn.head.conv.0.0", "roi_heads.box_predictor.cls_score"),
    "detectron2": ("roi_heads.box_head.fc1", "proposal_generator.rpn_head.conv", "roi_heads.box_predictor.cls_score"),
    "mmdetection": ("roi_head.bbox_head.shared_fcs.0", "rpn_head.rpn_conv", "roi_head.bbox_head.fc_cls"),
    "Detectron": ("fc6", "conv_rpn_fpn2", "cls_score"),
    "maskrcnn-benchmark": (
        "module.roi_heads.box.feature_extractor.fc6",
        "module.rpn.head.conv",
        "module.roi_heads.box.predictor.cls_score",
    ),
}
OUR_LAYERS = ("box_head.0.hidden.0.weight", "rpn.convolutions.0.weight", "box_head.0.logits.weight")
libraries = pytest.mark.parametrize("library", MAKE)


@cache
def state_of(library: str) -> dict[str, Tensor]:
    return random_resnet("resnet18") if library == "a backbone" else MAKE[library]()


def weight_names(library: str) -> list[str]:
    return [f"{layer}_w" if library == "Detectron" else f"{layer}.weight" for layer in LAYERS[library]]


@libraries
def test_a_file_is_recognized_by_its_own_reader_alone_and_its_classes_are_counted(library):
    assert [name for name, recognizes in RECOGNIZES.items() if recognizes(state_of(library))] == [library]
    weights = understand(state_of(library), "x")
    assert weights.notes["format"] == library
    assert len(weights.classes) == CLASSES
    weights.check()


@libraries
def test_files_without_a_detector_are_recognized_by_none(library):
    assert not RECOGNIZES[library]({})
    assert not RECOGNIZES[library](state_of("a backbone"))


@libraries
def test_the_first_linear_layer_reads_bins_before_channels(library):
    theirs = state_of(library)[weight_names(library)[0]]
    pooled = torch.randn(2, theirs.shape[1] // 49, 7, 7)
    found = pooled.permute(0, 2, 3, 1).flatten(1) @ understand(state_of(library), "x").state[OUR_LAYERS[0]].T
    torch.testing.assert_close(found, pooled.flatten(1) @ theirs.T, rtol=1e-4, atol=1e-4)


@libraries
def test_a_missing_tensor_is_named(library):
    for theirs, ours in zip(weight_names(library), OUR_LAYERS, strict=True):
        state = {name: one for name, one in state_of(library).items() if name != theirs}
        with pytest.raises(WeightsError, match=rf"^half\.pth: .*{ours}"):
            READ[library](state, "half.pth")


def test_a_missing_convolution_of_the_box_head_is_named():
    state = detectron2_state(norm="gn", convolutions=4)
    del state["roi_heads.box_head.conv1.weight"]
    with pytest.raises(WeightsError, match=r"^half\.pkl: .*box_head.0.convolutions.0"):
        read_detectron2(state, "half.pkl")


@pytest.mark.parametrize(
    ("library", "strangers"),
    [
        ("torchvision", ["backbone.body.layer5.0.conv1.weight", "backbone.body.layer1.0.se.fc1.weight"]),
        ("detectron2", ["backbone.bottom_up.res3.0.conv2_offset.weight", "roi_heads.mask_head.coarse_head.weight"]),
        ("mmdetection", ["wrapped_model.backbone.layer2.0.conv2.conv_offset.weight"]),
        ("Detectron", ["body_conv_fcn1_w"]),
        ("maskrcnn-benchmark", ["module.roi_heads.maskiou.fc1.weight"]),
        ("a backbone", ["layer1.0.se.fc1.weight"]),
    ],
)
def test_tensors_without_a_place_are_all_named_as_the_file_has_them(library, strangers):
    with pytest.raises(WeightsError, match=rf"^x\.pth: {len(strangers)} .*{', '.join(strangers)}"):
        READ[library](state_of(library) | dict.fromkeys(strangers, torch.zeros(1)), "x.pth")
