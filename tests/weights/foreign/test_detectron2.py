from functools import cache

import pytest
import torch

from maskrcnn.weights.foreign.detectron2 import read_detectron2, to_detectron2
from maskrcnn.weights.own import Weights
from tests.builders.checkpoints import detectron2_state

KINDS = {
    "fpn": {},
    "boxes only": {"heads": None},
    "c4": {"neck": "c4"},
    "dc5": {"neck": "dc5"},
    "keypoints": {"heads": "keypoint"},
    "cascade": {"cascade": True},
    "panoptic": {"heads": "semantic"},
    "gn": {"norm": "gn", "convolutions": 4},
    "syncbn": {"norm": "bn", "convolutions": 4},
    "syncbn tuned": {"norm": "bn", "convolutions": 4, "tuned": True},
    "lsj": {"norm": "bn", "convolutions": 4, "rpn": 2},
    "resnext": {"groups": 32, "blocks": (3, 8, 36, 3)},
    "r101": {"blocks": (3, 4, 23, 3)},
}


@cache
def read(kind: str) -> Weights:
    return read_detectron2(detectron2_state(**KINDS[kind]), f"{kind}.pkl")


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_finds_its_place_in_our_model(kind):
    read(kind).check()


@pytest.mark.parametrize(
    ("kind", "in_1x1"),
    [
        *(("fpn", True), ("c4", True), ("r101", True), ("gn", False), ("resnext", False)),
        *(("syncbn", False), ("syncbn tuned", True), ("lsj", True)),
    ],
)
def test_the_place_of_the_stride_follows_from_the_kind_of_model(kind, in_1x1):
    assert read(kind).settings.backbone.stride_in_1x1 is in_1x1


def test_one_map_has_all_sizes_of_anchors_and_no_padding():
    for kind, neck in (("c4", "c4"), ("dc5", "c5")):
        settings = read(kind).settings
        assert settings.neck.name == neck
        assert settings.anchors.sizes == ((32, 64, 128, 256, 512),)
        assert (settings.input.size_divisible, settings.rpn.pre_nms_top_n) == (1, 6000)
    assert read("dc5").settings.backbone.dilate_stage5
    assert (read("c4").settings.box_head.pool_size, read("c4").settings.box_head.linear_layers) == (14, 0)


def test_what_differs_from_our_defaults_is_set():
    settings = read("fpn").settings
    assert (settings.input.channel_order, settings.input.resize) == ("bgr", "pillow")
    assert settings.input.std == (1 / 255,) * 3
    assert (settings.anchors.order, settings.anchors.rounded, settings.anchors.stride) == (
        *("sizes_outer", False, "nominal"),
    )
    assert (settings.rpn.rank_by, settings.rpn.loss_normalizer, settings.rpn.smooth_l1_beta) == (
        "logit",
        "batch_size_per_image",
        0,
    )
    assert (settings.roi.half_pixel, settings.roi.sampling_ratio, settings.roi.level_slack) == (True, 0, (1e-8, 0))
    assert (settings.mask_head.paste, settings.mask_head.targets) == ("sampled", "polygons")
    assert (settings.box_head.min_box_size, settings.box_head.smooth_l1_beta) == (None, 0)


def test_only_two_published_models_divide_pixels_by_a_deviation():
    weights = read_detectron2(detectron2_state(groups=32, blocks=(3, 4, 23, 3)), "x101.pkl")
    assert weights.settings.backbone.name == "resnext101_32x8d"
    assert weights.settings.input.std == pytest.approx((0.229, 0.224, 0.225))
    assert read("resnext").settings.backbone.name == "resnext152_32x8d"
    assert read("resnext").settings.input.std == (1 / 255,) * 3
    # trained from random weights, and with two convolutions in the RPN
    assert read("syncbn").settings.input.std == (0.229, 0.224, 0.225)
    assert read("lsj").settings.input.std == (1 / 255,) * 3


def test_a_cascade_has_three_heads_with_one_box_each():
    settings = read("cascade").settings
    assert [stage.positive_iou for stage in settings.cascade.stages] == [0.5, 0.6, 0.7]
    assert settings.cascade.average == "scores"
    assert settings.box_head.class_agnostic
    assert not settings.cascade.mask_head_per_stage


def test_keypoints_and_pixel_classes_are_counted():
    assert read("keypoints").classes.keypoint_count == 17
    assert read("keypoints").settings.keypoint_head.score == "share"
    panoptic = read("panoptic")
    assert panoptic.settings.semantic_head.classes == 6
    assert len(panoptic.classes.stuff) == 5


def test_what_old_files_hold_beside_the_weights_is_kept_apart_read_and_written_back():
    state = detectron2_state()
    state["proposal_generator.anchor_generator.cell_anchors.0"] = torch.ones(3, 4)
    state["pixel_mean"] = torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1)
    state["pixel_std"] = torch.tensor([57.375, 57.12, 58.395]).view(3, 1, 1)
    weights = read_detectron2(state, "old.pkl")
    assert weights.extra.keys() == {"proposal_generator.anchor_generator.cell_anchors.0", "pixel_mean", "pixel_std"}
    assert weights.settings.input.channel_order == "bgr"
    assert weights.settings.input.mean == pytest.approx((0.485, 0.456, 0.406))
    assert weights.settings.input.std == pytest.approx((0.229, 0.224, 0.225))
    state["pixel_mean"], state["pixel_std"] = state["pixel_mean"].flip(0), state["pixel_std"].flip(0)
    weights = read_detectron2(state, "rgb.pkl")
    assert weights.settings.input.channel_order == "rgb"
    assert weights.settings.input.mean == pytest.approx((0.485, 0.456, 0.406))
    written = to_detectron2(weights)
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], tensor) for name, tensor in state.items())


def test_stages_without_counters_were_frozen():
    backbone = read("lsj").settings.backbone
    assert (backbone.norm, backbone.frozen_stages) == ("batch", 0)
    assert read("lsj").state["backbone.stem.norm.num_batches_tracked"] == 7
    backbone = read("syncbn tuned").settings.backbone
    assert (backbone.norm, backbone.frozen_stages) == ("batch", 2)
    assert "backbone.stem.norm.num_batches_tracked" not in read("syncbn tuned").state
    assert read("syncbn tuned").state["backbone.stages.1.0.step1.norm.num_batches_tracked"] == 7


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("r101", "resnext")])
def test_there_and_back_every_tensor_is_the_same_bit_for_bit(kind):
    state = detectron2_state(**KINDS[kind])
    written = to_detectron2(read_detectron2(state, f"{kind}.pkl"))
    assert written.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(written[name], tensor), name
        assert written[name].dtype == tensor.dtype


def test_what_came_from_another_library_is_not_written():
    weights = read_detectron2(detectron2_state(), "x")
    weights.notes["format"] = "torchvision"
    weights.extra["roi_heads.box_predictor.bbox_pred.weight"] = torch.zeros(4, 16)
    assert to_detectron2(weights)["roi_heads.box_predictor.bbox_pred.weight"].shape == (12, 16)
