import pytest
import torch

from maskrcnn.config import BackboneSettings, ModelSettings
from maskrcnn.errors import WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.weights.foreign.structure import (
    anchors_per_place,
    background_last,
    background_rows,
    bins_first,
    channels_first,
    counts_batches,
    find_backbone,
    find_classes,
    find_keypoints,
    find_neck,
    find_norm,
    find_structure,
    find_stuff,
    merge,
    neck_channels,
    split_counters,
)

CLASSES, KEYPOINTS = 5, 7
MODELS = {
    "default": {},
    "narrow": {"backbone": {"width": 32}, "neck": {"channels": 64}, "box_head": {"channels": 128}},
    "boxes only": {"mask_head": None, "backbone": {"name": "resnet18"}},
    "group": {"backbone": {"name": "resnet34", "norm": "group"}, "neck": {"norm": "group"}},
    "deep heads": {
        "rpn": {"convolutions": 2},
        "box_head": {"convolutions": 4, "linear_layers": 1, "norm": "batch", "convolution_channels": 64},
        "mask_head": {"norm": "batch", "convolutions": 8, "channels": 32, "upsamples": 2},
    },
    "c4": {"neck": {"name": "c4"}, "anchors": {"sizes": [[32, 64]]}, "box_head": {"linear_layers": 0, "pool_size": 14}}
    | {"mask_head": {"convolutions": 0}},
    "c5": {"neck": {"name": "c5"}, "backbone": {"name": "resnet101"}, "anchors": {"sizes": [[32, 64]]}},
    "agnostic": {"box_head": {"class_agnostic": True}, "mask_head": {"class_agnostic": True}},
    "linear masks": {"mask_head": {"kind": "linear", "convolutions": 2}},
    "cascade": {"cascade": {"mask_head_per_stage": True}, "box_head": {"class_agnostic": True}},
    "keypoints": {"keypoint_head": {"convolutions": 3, "channels": 64}, "mask_head": None},
    "pixels": {"semantic_head": {"classes": 12, "channels": 64}},
    "clip": {"backbone": {"name": "clip_resnet50"}},
    "mobilenet": {"backbone": {"name": "mobilenet_v3_large"}, "anchors": {"sizes": [[32], [64], [128]]}},
    **{
        name: {"backbone": {"name": name}}
        for name in ("resnext50_32x4d", "resnext101_64x4d", "resnext101_32x8d", "resnext152_32x8d", "wide_resnet50_2")
    },
}


def state_of(model: str) -> tuple[dict, ModelSettings]:
    settings = ModelSettings.model_validate(MODELS[model])
    with torch.device("meta"):
        return build_model(settings, CLASSES, keypoints=KEYPOINTS).state_dict(), settings


@pytest.mark.parametrize("model", MODELS)
def test_the_structure_of_every_kind_of_model_is_found_in_its_tensors(model):
    state, settings = state_of(model)
    found = ModelSettings.model_validate(
        merge({"anchors": settings.anchors.model_dump()}, find_structure(state, model))
    )
    with torch.device("meta"):
        again = build_model(found, CLASSES, keypoints=KEYPOINTS).state_dict()
    assert {name: one.shape for name, one in again.items()} == {name: one.shape for name, one in state.items()}
    assert (found.backbone, found.neck, found.rpn) == (*(settings.backbone, settings.neck, settings.rpn),)
    assert (found.box_head, found.mask_head) == (settings.box_head, settings.mask_head)
    assert (found.keypoint_head, found.cascade) == (settings.keypoint_head, settings.cascade)


def test_counts_are_read_from_the_last_layers():
    assert find_classes(state_of("default")[0]) == CLASSES
    assert find_keypoints(state_of("keypoints")[0]) == KEYPOINTS
    assert find_keypoints(state_of("default")[0]) == 0
    assert (find_stuff(state_of("pixels")[0]), find_stuff(state_of("default")[0])) == (11, 0)
    assert anchors_per_place(state_of("c4")[0]) == 6
    assert (neck_channels(state_of("c4")[0]), neck_channels(state_of("narrow")[0])) == (1024, 64)
    assert [find_neck(state_of(model)[0]) for model in ("default", "c4", "c5")] == ["fpn", "c4", "c5"]


def test_norms_are_told_by_their_tensors():
    state = {"a.norm.weight": 0, "b.norm.weight": 0, "b.norm.running_mean": 0, "c.weight": 0}
    assert [find_norm(state, layer) for layer in ("a.", "b.", "c.")] == ["group", "batch", "none"]
    assert counts_batches({"b.norm.num_batches_tracked": 0})
    assert not counts_batches(state)


def test_a_backbone_that_is_not_known_is_named():
    state, _ = state_of("default")
    other = {name: one for name, one in state.items() if not name.startswith("backbone.stages.2.5.")}
    with pytest.raises(WeightsError, match=r"x: .*bottleneck.*3, 4, 5, 3"):
        find_backbone(other, "x")
    with pytest.raises(WeightsError, match="x: .*backbone"):
        find_backbone({}, "x")


def test_later_settings_win_but_a_part_that_is_off_stays_off():
    below = {"a": {"b": 1, "c": 2}, "off": None, "on": 1}
    merged = merge(below, {"a": {"c": 3}, "off": {"x": 1}, "on": {"y": 2}})
    assert merged == {"a": {"b": 1, "c": 3}, "off": None, "on": {"y": 2}}
    assert merge(below, {"a": None})["a"] is None
    assert merge({}, {"off": {"x": 1}}) == {"off": {"x": 1}}
    assert below == {"a": {"b": 1, "c": 2}, "off": None, "on": 1}


def test_bins_go_before_channels_and_back():
    # Two channels of 2 x 2 bins: channel, row, column is 0..7.
    state = {
        "box_head.0.hidden.0.weight": torch.arange(8)[None],
        "box_head.0.hidden.1.weight": torch.arange(4)[None],
        "rpn.convolutions.0.weight": torch.zeros(2, 2, 3, 3),
    }
    ours = bins_first(state)
    assert ours["box_head.0.hidden.0.weight"].tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]
    assert torch.equal(ours["box_head.0.hidden.1.weight"], state["box_head.0.hidden.1.weight"])
    assert torch.equal(channels_first(ours)["box_head.0.hidden.0.weight"], state["box_head.0.hidden.0.weight"])


def test_a_head_with_convolutions_has_their_number_of_channels():
    state = {
        "box_head.1.convolutions.0.convolution.weight": torch.zeros(4, 2, 3, 3),
        "box_head.1.hidden.0.weight": torch.arange(16)[None],
        "mask_head.hidden.0.weight": torch.arange(8)[None],
        "rpn.convolutions.0.weight": torch.zeros(2, 2, 3, 3),
    }
    ours = bins_first(state)
    assert ours["box_head.1.hidden.0.weight"][0, :4].tolist() == [0, 4, 8, 12]
    assert ours["mask_head.hidden.0.weight"][0, :2].tolist() == [0, 4]


def test_the_background_goes_last_and_out_of_boxes_and_masks():
    state = {
        "box_head.0.logits.bias": torch.tensor([9, 1, 2]),
        "box_head.0.deltas.bias": torch.arange(12),
        "mask_head.logits.bias": torch.tensor([9, 1, 2]),
        "rpn.logits.bias": torch.tensor([9, 1, 2]),
    }
    ours, rows = background_last(state)
    assert {name: one.tolist() for name, one in ours.items()} == {
        "box_head.0.logits.bias": [1, 2, 9],
        "box_head.0.deltas.bias": list(range(4, 12)),
        "mask_head.logits.bias": [1, 2],
        "rpn.logits.bias": [9, 1, 2],
    }
    assert {name: one.tolist() for name, one in rows.items()} == {
        "box_head.0.deltas.bias": [0, 1, 2, 3],
        "mask_head.logits.bias": [9],
    }


def test_one_box_and_one_mask_for_all_classes_have_no_background():
    assert background_rows("box_head.0.deltas.bias", torch.zeros(4)) == 0
    assert background_rows("mask_head.logits.bias", torch.zeros(1)) == 0
    assert background_rows("keypoint_head.upsample.bias", torch.zeros(17)) == 0


def test_only_norms_that_are_not_frozen_keep_their_counters():
    names = [
        "backbone.stem",
        "backbone.stages.0.0.step1",
        "backbone.stages.1.0.step1",
        "shared_head.0.step1",
        "neck.lateral.0",
    ]
    state = {f"{name}.norm.num_batches_tracked": torch.tensor(1) for name in names} | {"rpn.logits.bias": torch.ones(1)}

    def kept(**settings) -> int:
        ours, counters = split_counters(state, BackboneSettings(**settings))
        assert ours.keys() | counters.keys() == state.keys()
        return len(ours) - 1

    assert kept(norm="frozen_batch") == 1
    assert [kept(norm="batch", frozen_stages=stages) for stages in (0, 1, 2, 3, 4, 5)] == [5, 4, 3, 2, 2, 1]


def test_a_mobilenet_with_norms_that_measure_keeps_all_counters():
    state = {"backbone.features.0.1.num_batches_tracked": torch.tensor(1)}
    assert split_counters(state, BackboneSettings(norm="batch", frozen_stages=0))[1] == {}
    assert split_counters(state, BackboneSettings(norm="frozen_batch"))[0] == {}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("box_head.0.logits.weight", ()),
        ("box_head.0.logits.weight", (6,)),
        ("box_head.0.logits.bias", (0,)),
        ("box_head.0.hidden.0.weight", (1,) * 9),
        ("rpn.convolutions.0.weight", (0, 2**40)),
        ("backbone.stem.convolution.weight", (0,)),
        ("backbone.stages.0.0.step2.convolution.weight", ()),
        ("mask_head.logits.weight", (5,)),
        ("neck.output.0.bias", ()),
    ],
)
def test_a_tensor_without_numbers_or_with_other_sides_is_named(name, shape):
    state, _ = state_of("default")
    assert name in state
    with pytest.raises(WeightsError, match=rf"file\.pth.*{name}"):
        find_structure({**state, name: torch.empty(shape, device="meta")}, "file.pth")
