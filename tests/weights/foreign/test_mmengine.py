import pytest

from maskrcnn.weights.foreign.mmengine import find_unknown, look_up, parse_assignments, read_config


def test_plain_values_dicts_and_earlier_names_are_read():
    text = "norm = dict(type='BN', sizes=(1, -2.5))\nmodel = dict(norm=norm, more={'a': [True, None]})\n"
    assert parse_assignments(text)["model"] == {
        "norm": {"type": "BN", "sizes": [1, -2.5]},
        "more": {"a": [True, None]},
    }


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
