from functools import cache

import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.weights.foreign.mmdetection import (
    EPSILON,
    find_unknown,
    is_mmdetection,
    look_up,
    parse_assignments,
    read_config,
    read_mmdetection,
)
from maskrcnn.weights.own import Weights
from tests.builders.checkpoints import mmdetection_state

KINDS = {"mask": {}, "cascade": {"cascade": True}, "resnext": {"groups": 32}, "text": {"classes": 1, "anchors": 5}}
KINDS |= {
    "boxes only": {"masks": False, "cascade": True},
    "c4": {"neck": "c4"},
    "dc5": {"neck": "dc5", "masks": False},
    "gn": {"norm": "gn"},
    "oclip": {"classes": 1, "anchors": 5, "clip": True},
}
CONFIG = """
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False, pad_size_divisor=64),
    backbone=dict(type='ResNet', depth=50, frozen_stages=-1, style='caffe'),
    rpn_head=dict(anchor_generator=dict(scales=[8], ratios=[0.25, 1.0, 4.0], strides=[4, 8, 16, 32, 64])),
    test_cfg=dict(rcnn=dict(score_thr=0.3, nms=dict(type='nms', iou_threshold=0.6), max_per_img=7)))
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(1000, 600), keep_ratio=True)]
"""


@cache
def read(kind: str = "mask") -> Weights:
    return read_mmdetection(mmdetection_state(**KINDS[kind]), f"{kind}.pth")


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_finds_its_place_in_our_model(kind):
    read(kind).check()


def test_what_differs_from_our_defaults_is_set():
    settings = read().settings
    assert (settings.input.resize, settings.input.channel_order, settings.input.size_divisible) == ("opencv", "rgb", 32)
    assert (settings.anchors.order, settings.anchors.rounded, settings.anchors.stride) == (
        *("ratios_outer", False, "nominal"),
    )
    assert (settings.rpn.rank_by, settings.rpn.rescue_iou, settings.rpn.loss_normalizer) == ("score", 0.3, "chosen")
    assert (settings.roi.half_pixel, settings.roi.sampling_ratio, settings.roi.level_slack) == (True, 0, (2.5e-7, 0))
    assert (settings.mask_head.paste, settings.mask_head.targets) == ("sampled", "thresholded")
    for part in (settings.rpn, settings.box_head):
        assert (part.clamp_both_sides, part.loss_epsilon) == (True, EPSILON)
    assert pytest.approx(1.1920929e-07, rel=1e-8) == EPSILON


def test_a_cascade_has_its_deviations_weights_and_a_mask_head_per_stage():
    cascade = read("cascade").settings.cascade
    assert [stage.loss_weight for stage in cascade.stages] == [1, 0.5, 0.25]
    assert cascade.stages[2].delta_weights == (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067)
    assert (cascade.average, cascade.mask_head_per_stage) == ("logits", True)


def test_words_have_their_own_anchors_and_class():
    weights = read("text")
    assert weights.classes.names == ("text",)
    assert weights.settings.anchors.ratios == (0.17, 0.44, 1.13, 2.9, 7.46)
    assert weights.settings.anchors.sizes == ((16,), (32,), (64,), (128,), (256,))


def test_other_necks_norms_and_bodies_are_recognized():
    assert (read("c4").settings.neck.name, read("dc5").settings.backbone.dilate_stage5) == ("c4", True)
    assert (read("c4").settings.input.size_divisible, read("c4").settings.rpn.pre_nms_top_n) == (32, 6000)
    gn = read("gn").settings
    assert [gn.backbone.norm, gn.neck.norm, gn.box_head.norm, gn.mask_head.norm] == ["group"] * 4
    assert (gn.input.channel_order, gn.input.std, gn.backbone.stride_in_1x1) == ("bgr", (1 / 255,) * 3, False)
    assert read("oclip").settings.backbone.name == "clip_resnet50"
    assert read("boxes only").settings.mask_head is None


def test_averaged_copies_beside_the_weights_are_left_out():
    state = mmdetection_state()
    copies = {f"ema_{name.replace('.', '_')}": tensor for name, tensor in state.items()}
    assert read_mmdetection(state | copies, "x.pth").state.keys() == read_mmdetection(state, "x.pth").state.keys()


def test_the_wrapper_of_mmocr_does_not_matter():
    state = {f"wrapped_model.{name}": one for name, one in mmdetection_state(**KINDS["text"]).items()}
    assert is_mmdetection(state)
    weights = read_mmdetection(state, "text.pth")
    assert weights.state.keys() == read("text").state.keys()
    assert all(torch.equal(one, read("text").state[name]) for name, one in weights.state.items())
    assert "wrapped_model.backbone.bn1.num_batches_tracked" in weights.extra


def test_norms_without_statistics_are_caffe_s():
    state = mmdetection_state()
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.zero_()
    settings = read_mmdetection(state, "caffe.pth").settings
    assert settings.backbone.stride_in_1x1
    assert (settings.input.channel_order, settings.input.std) == ("bgr", (1 / 255,) * 3)
    assert settings.input.mean == pytest.approx((0.485, 0.456, 0.406))
    assert not read().settings.backbone.stride_in_1x1


@pytest.mark.parametrize("key", ["cfg", "config"])
def test_the_configuration_in_the_file_counts(key):
    settings = read_mmdetection(mmdetection_state(), "caffe.pth", {key: CONFIG}).settings
    assert settings.backbone.stride_in_1x1
    assert settings.backbone.frozen_stages == 0
    assert (settings.input.channel_order, settings.input.size_divisible) == ("bgr", 64)
    assert (settings.input.min_size, settings.input.max_size) == (600, 1000)
    assert settings.input.mean == pytest.approx((0.485, 0.456, 0.406))
    assert settings.anchors.ratios == (0.25, 1, 4)
    head = settings.box_head
    assert (head.score_threshold, head.nms_threshold, head.detections_per_image) == (0.3, 0.6, 7)


def test_a_configuration_with_other_values_is_named():
    with pytest.raises(WeightsError, match=r"odd.pth: .*configuration"):
        read_mmdetection(mmdetection_state(), "odd.pth", {"cfg": CONFIG.replace("score_thr=0.3", "score_thr='high'")})


def test_a_part_that_is_not_known_is_named_though_its_tensors_have_the_same_names():
    text = CONFIG.replace("depth=50", "depth=50, conv_cfg=dict(type='ConvWS')")
    with pytest.raises(WeightsError, match=r"ws.pth: .*backbone.conv_cfg.type=ConvWS"):
        read_mmdetection(mmdetection_state(), "ws.pth", {"cfg": text})


@pytest.mark.parametrize(
    "meta", [{"CLASSES": ("a", "b", "c")}, {"dataset_meta": {"CLASSES": ["a", "b", "c"]}}, {"CLASSES": list("abcde")}]
)
def test_the_file_s_own_names_of_classes_count(meta):
    classes = read_mmdetection(mmdetection_state(), "own.pth", meta).classes
    assert classes.names == ("a", "b", "c")
    assert classes.category_ids == (1, 2, 3)


def test_coco_s_names_have_coco_s_ids():
    classes = read_mmdetection(mmdetection_state(classes=80), "coco.pth").classes
    assert (classes.names[0], classes.names[79], classes.category_ids[79]) == ("person", "toothbrush", 90)
    again = read_mmdetection(mmdetection_state(classes=80), "coco.pth", {"CLASSES": classes.names}).classes
    assert again == classes


def test_plain_values_dicts_and_earlier_names_are_read():
    text = "norm = dict(type='BN', sizes=(1, -2.5))\nmodel = dict(norm=norm, more={'a': [True, None]})\n"
    assert parse_assignments(text)["model"] == {"norm": {"type": "BN", "sizes": [1, -2.5]}, "more": {"a": [True, None]}}


@pytest.mark.parametrize(
    "line",
    [
        "a = open('/etc/passwd').read()",
        "a = __import__('os').system('true')",
        "a = [x for x in (1,)]",
        "a = b",
        "a.b = 1",
    ],
)
def test_nothing_is_executed_and_the_rest_is_still_read(line):
    assert parse_assignments(f"{line}\nz = 3\n") == {"z": 3}


@pytest.mark.parametrize("text", ["model = dict(", "\0", "(" * 10000, "-" * 100_000 + "1"])
def test_a_text_that_is_no_python_says_nothing(text):
    assert parse_assignments(text) == {}


def test_values_are_looked_up_by_their_path():
    tree = {"a": [{"b": {"c": 1}}, {"b": 2}]}
    assert look_up(tree, "a.b.c") == 1
    assert look_up(tree, "a.x.c") is None
    assert look_up({"a": []}, "a.b") is None
    assert look_up(None, "a") is None


@pytest.mark.parametrize("meta", [{}, {"cfg": 3}, {"cfg": "model = 3"}, {"cfg": "lr = 0.1"}])
def test_a_file_without_a_configuration_says_nothing(meta):
    assert read_config(meta) == {}


def test_the_wrapped_model_of_mmocr_is_read():
    tree = read_config({"cfg": "model = dict(type='MMDetWrapper', cfg=dict(backbone=dict(style='caffe')))"})
    assert tree["backbone"] == {"stride_in_1x1": True}


def test_pixels_of_version_2_are_in_the_order_of_the_network():
    text = "img_norm_cfg = dict(mean=[1, 2, 3], std=[51, 102, 255], to_rgb={})\nmodel = dict(backbone=dict())"
    found = read_config({"config": text.format("True")})["input"]
    assert (found["channel_order"], found["mean"], found["std"]) == ("rgb", (1 / 255, 2 / 255, 3 / 255), (0.2, 0.4, 1))
    found = read_config({"config": text.format("False")})["input"]
    assert (found["channel_order"], found["mean"], found["std"]) == ("bgr", (3 / 255, 2 / 255, 1 / 255), (1, 0.4, 0.2))


def test_stages_of_a_cascade_are_read_where_all_of_them_say_all():
    coders = [f"dict(bbox_coder=dict(target_stds={row}))" for row in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1])]
    heads = f"[{', '.join(coders)}]"
    training = "dict(rcnn=[dict(assigner=dict(pos_iou_thr=.4)), dict(assigner=dict(pos_iou_thr=.6))])"
    text = "model = dict(roi_head=dict(bbox_head={}, stage_loss_weights=[1, .5]), train_cfg={})"
    stages = read_config({"cfg": text.format(heads, training)})["cascade"]["stages"]
    assert [(one["positive_iou"], one["loss_weight"]) for one in stages] == [(0.4, 1), (0.6, 0.5)]
    assert stages[1]["delta_weights"] == pytest.approx([20, 20, 10, 10])
    assert read_config({"cfg": text.format(heads, "None")})["cascade"] == {}


@pytest.mark.parametrize(
    ("loss", "beta"),
    [("type='L1Loss'", 0), ("type='SmoothL1Loss', beta=.5", 0.5), ("type='GIoULoss'", None), ("loss_weight=1", None)],
)
def test_where_the_loss_of_boxes_turns_linear(loss, beta):
    rpn = read_config({"cfg": f"model = dict(rpn_head=dict(loss_bbox=dict({loss})))"})["rpn"]
    assert rpn.get("smooth_l1_beta") == beta


def test_kinds_of_parts_that_leave_no_trace_in_the_names_are_known_or_named():
    text = "model = dict(backbone=dict(conv_cfg=dict(type='{}')), test_cfg=dict(rcnn=dict(nms=dict(type='{}'))))"
    assert find_unknown({"cfg": text.format("Conv2d", "nms")}) == []
    unknown = find_unknown({"config": text.format("ConvWS", "soft_nms")})
    assert unknown == ["backbone.conv_cfg.type=ConvWS", "test_cfg.rcnn.nms.type=soft_nms"]
    assert find_unknown({}) == []


NAMES = "a0 = [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
NAMES += "".join(f"a{n} = [{', '.join([f'a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "line",
    [
        "model = dict(backbone=dict(conv_cfg=dict(type=a11)))",
        "img_norm_cfg = dict(mean=a11, std=a11)",
        "model = dict(rpn_head=dict(anchor_generator=dict(scales=a11, ratios=a11, strides=a11)))",
    ],
)
def test_lists_that_multiply_end_the_reading_of_a_configuration(line):
    assert parse_assignments(NAMES + line) == {}
    assert find_unknown({"cfg": NAMES + line}) == []


def test_a_list_times_a_stride_is_no_anchor():
    text = "model = dict(rpn_head=dict(anchor_generator=dict(scales=[[1]], ratios=[1], strides=[1000000000])))"
    with pytest.raises(TypeError):
        read_config({"cfg": text})


def test_a_text_as_long_as_no_configuration_is_not_read():
    assert parse_assignments("a = 1\n" * 200_000) == {}
