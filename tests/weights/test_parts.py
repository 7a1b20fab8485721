import torch

from maskrcnn.config import ModelSettings
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.keypoint_schema import KeypointSchema
from maskrcnn.weights.parts import (
    BOX_CLASSES,
    KEYPOINTS,
    MASK_CLASSES,
    STUFF,
    calm,
    has_statistics,
    names_by_part,
    parts_of_classes,
)

NAMES = (
    "box_head.0.logits.bias",
    "box_head.2.deltas.bias",
    "box_head.1.hidden.0.bias",
    "mask_head.logits.bias",
    "mask_head.upsamples.0.bias",
    "neck.lateral.0.bias",
    "shared_head.0.step1.convolution.weight",
    "backbone.stages.3.0.step1.convolution.weight",
    "backbone.stem.step1.norm.bias",
    "backbone.network.stem_0.weight",
    "keypoint_head.upsample.bias",
    "keypoint_head.convolutions.0.bias",
    "semantic_head.logits.bias",
    "something.else",
)


def test_parts_run_from_the_image_to_the_heads_and_strangers_are_parts_of_their_own():
    assert names_by_part(NAMES, ModelSettings()) == {
        "stem": ["backbone.stem.step1.norm.bias"],
        "stage 5 (layer4)": [
            "shared_head.0.step1.convolution.weight",
            "backbone.stages.3.0.step1.convolution.weight",
        ],
        "backbone": ["backbone.network.stem_0.weight"],
        "FPN": ["neck.lateral.0.bias"],
        BOX_CLASSES: ["box_head.0.logits.bias", "box_head.2.deltas.bias"],
        "box head": ["box_head.1.hidden.0.bias"],
        MASK_CLASSES: ["mask_head.logits.bias"],
        "mask head": ["mask_head.upsamples.0.bias"],
        KEYPOINTS: ["keypoint_head.upsample.bias"],
        "keypoint head": ["keypoint_head.convolutions.0.bias"],
        STUFF: ["semantic_head.logits.bias"],
        "something.else": ["something.else"],
    }


def test_layers_that_are_the_same_for_all_classes_are_no_class_layers():
    settings = ModelSettings.model_validate(
        {"box_head": {"class_agnostic": True}, "mask_head": {"class_agnostic": True}}
    )
    parts = names_by_part(NAMES, settings)
    assert parts[BOX_CLASSES] == ["box_head.0.logits.bias"]
    assert parts["box head"] == ["box_head.2.deltas.bias", "box_head.1.hidden.0.bias"]
    assert MASK_CLASSES not in parts


def test_other_names_keypoints_or_stuff_make_their_layers_useless():
    def classes(names=("a",), points=("x",), stuff=("sky",), ids=(1,)):
        keypoint_schema = KeypointSchema(points, (), (), (0.1,) * len(points)) if points else None
        return Classes(names, ids, stuff, (9,), keypoint_schema)

    assert parts_of_classes(classes(), classes(ids=(4,))) == set()
    assert parts_of_classes(classes(), classes(names=("b",))) == {BOX_CLASSES, MASK_CLASSES}
    assert parts_of_classes(classes(), classes(points=("y",))) == {KEYPOINTS}
    assert parts_of_classes(classes(), classes(points=())) == {KEYPOINTS}
    assert parts_of_classes(classes(), classes(stuff=("sea",))) == {STUFF}


def test_only_norms_of_the_backbone_tell_whether_there_are_statistics():
    assert has_statistics(["backbone.stem.norm.running_mean"])
    assert not has_statistics(["neck.lateral.0.norm.running_mean", "backbone.stem.norm.weight"])


def test_the_last_norm_of_each_frozen_block_is_divided_by_the_number_of_blocks():
    names = [
        f"shared_head.{i}.step{k}.norm.{leaf}" for i in (0, 1) for k in (1, 2) for leaf in ("weight", "running_mean")
    ]
    state = {name: torch.ones(3) for name in names}
    assert {name: value.tolist() for name, value in calm(names, state).items()} == {
        f"shared_head.{i}.step2.norm.weight": [0.5] * 3 for i in (0, 1)
    }
    counting = [*names, "shared_head.0.step1.norm.num_batches_tracked"]
    assert calm(counting, state) == {}
    assert calm([name for name in names if name.endswith("weight")], state) == {}
