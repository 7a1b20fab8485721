from functools import cache

import pytest
import torch
from torch import Tensor

from maskrcnn.weights.foreign.detectron import (
    cell_shapes,
    read_detectron,
    read_maskrcnn_benchmark,
)
from maskrcnn.weights.own import Weights
from tests.builders.checkpoints import benchmark_state, detectron2_state, detectron_state

KINDS = {
    "fpn": {},
    "boxes only": {"heads": None},
    "c4": {"neck": "c4"},
    "keypoints": {"heads": "keypoint"},
    "gn": {"norm": "gn", "convolutions": 4},
}


@cache
def blobs(kind: str) -> dict[str, Tensor]:
    return detectron_state(**KINDS[kind])


@cache
def read(kind: str) -> Weights:
    return read_detectron(blobs(kind), f"{kind}.pkl")


@pytest.mark.parametrize("kind", KINDS)
def test_every_blob_of_detectron_finds_its_place_in_our_model(kind):
    read(kind).check()


@pytest.mark.parametrize("kind", ["fpn", "boxes only", "c4", "keypoints"])
def test_every_tensor_of_maskrcnn_benchmark_finds_its_place_in_our_model(kind):
    read_maskrcnn_benchmark(benchmark_state(**KINDS[kind]), f"{kind}.pth").check()


def test_names_are_spelt_as_detectron_does():
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch2a_bn_b", "fpn_inner_res5_2_sum_w", "fc6_w"} <= blobs(
        "fpn"
    ).keys()
    assert {"fpn_inner_res4_5_sum_lateral_w", "_[mask]_fcn1_w", "conv_rpn_fpn2_b"} <= blobs("fpn").keys()
    assert {"conv1_gn_s", "head_conv1_gn_b", "_[mask]_fcn1_gn_s", "fpn_res2_2_sum_gn_s"} <= blobs("gn").keys()
    assert "module.backbone.body.layer1.0.downsample.1.running_var" in benchmark_state()


def test_background_goes_last_and_leaves_boxes_and_masks():
    state, source = read("fpn").state, detectron2_state()
    assert torch.equal(state["box_head.0.logits.bias"], source["roi_heads.box_predictor.cls_score.bias"])
    assert torch.equal(state["box_head.0.deltas.weight"], source["roi_heads.box_predictor.bbox_pred.weight"])
    assert torch.equal(state["mask_head.logits.bias"], source["roi_heads.mask_head.predictor.bias"])
    other = read_maskrcnn_benchmark(benchmark_state(), "fpn.pth").state
    for name in ("box_head.0.logits.bias", "box_head.0.deltas.weight", "mask_head.logits.bias"):
        assert torch.equal(other[name], state[name])


def test_frozen_norms_are_a_scale_and_a_shift():
    weights = read("fpn")
    assert weights.settings.backbone.norm_epsilon == 0
    assert (weights.state["backbone.stem.norm.running_var"] == 1).all()
    assert not weights.state["backbone.stages.1.0.step1.norm.running_mean"].any()


def test_anchors_are_those_of_detectron():
    # generate_anchors(stride=16, sizes=(128,)) and (4, 32), of which the corners are pixels.
    def corners(shape: tuple[float, float], stride: int) -> list[float]:
        (w, h), center = shape, stride / 2
        return [center - w / 2, center - h / 2, center + w / 2 - 1, center + h / 2 - 1]

    found = [corners(shape, 16) for shape in cell_shapes((128,), 16)]
    assert found == [[-84, -40, 99, 55], [-56, -56, 71, 71], [-36, -80, 51, 95]]
    assert [corners(shape, 4) for shape in cell_shapes((32,), 4)] == [
        *([-22, -10, 25, 13], [-14, -14, 17, 17], [-10, -22, 13, 25])
    ]
    settings = read("fpn").settings.anchors
    assert (settings.offset, len(settings.shapes), len(settings.shapes[0])) == (0.5, 5, 3)
    assert len(read("c4").settings.anchors.shapes[0]) == 15


def test_the_settings_are_those_of_detectron():
    settings = read("fpn").settings
    assert (settings.input.channel_order, settings.input.resize, settings.backbone.stride_in_1x1) == (
        "bgr",
        "opencv",
        True,
    )
    assert settings.input.mean == pytest.approx((122.7717 / 255, 115.9465 / 255, 102.9801 / 255))
    assert (settings.roi.sampling_ratio, settings.roi.half_pixel, settings.roi.level_slack) == (2, False, (1e-6, 0))
    assert read("c4").settings.roi.sampling_ratio == 0
    assert not read("gn").settings.backbone.stride_in_1x1
    assert read_maskrcnn_benchmark(benchmark_state(), "x").settings.input.resize == "pillow"


def test_what_training_left_behind_is_not_used():
    extra = {"conv1_w_momentum": torch.zeros(1), "lr": torch.zeros(1), "conv1_b": torch.zeros(64)}
    assert read_detectron(blobs("fpn") | extra, "x.pkl").state.keys() == read("fpn").state.keys()
    extra = {"module.rpn.anchor_generator.cell_anchors.0": torch.zeros(3, 4)}
    assert len(read_maskrcnn_benchmark(benchmark_state() | extra, "x").state) == len(read("fpn").state)
