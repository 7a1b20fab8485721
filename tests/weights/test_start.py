import os
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from maskrcnn.config import ModelSettings
from maskrcnn.errors import SettingError, WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes, KeypointSchema
from maskrcnn.weights.own import save_weights
from maskrcnn.weights.published import PUBLISHED, Published
from maskrcnn.weights.start import (
    BOX_CLASSES,
    KEYPOINTS,
    MASK_CLASSES,
    STAGES,
    STUFF,
    Start,
    build_from,
    calm,
    has_statistics,
    names_by_part,
    parts_of_classes,
    read_start,
    start_from,
)
from tests.builders.starts import CELLS, begin, saved, small_settings

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("MASKRCNN_SHARED", ROOT.parent / "shared"))
IMAGENET = SHARED / "weights" / "resnet50_c1_c4_imagenet.safetensors"
HEADS = ("FPN", "RPN", "box head", "class layers of the box head", "mask head", "class layer of the mask head")
NO_MASKS = small_settings(parts={"mask_head": None})


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    torch.manual_seed(0)
    model = build_model(small_settings(), len(CELLS))
    path = tmp_path_factory.mktemp("weights") / "cells.safetensors"
    save_weights(path, model.state_dict(), small_settings(), CELLS)
    return path


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return torchvision.models.resnet18().state_dict()


@pytest.fixture
def without(backbone, tmp_path):
    """What a file of the backbone has to start from if some of its tensors are missing."""

    def read(*missing):
        state = {name: tensor for name, tensor in backbone.items() if not name.startswith(missing)}
        return read_start(saved(state, tmp_path / "r.safetensors"))

    return read


def test_a_detector_of_the_same_classes_is_taken_over_whole(detector):
    start = read_start(detector)
    model, report = begin(start)
    assert (start.settings, report.random, report.remarks) == (small_settings(), (), ())
    assert all(torch.equal(tensor, start.state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("names", [("cell",), ("cell", "hole"), ("gap", "cell")])
def test_class_layers_stay_random_for_other_classes(detector, names):
    classes = Classes(names, tuple(range(len(names))))
    start = read_start(detector)
    model, report = begin(start, classes=classes)
    assert report.random == ("class layers of the box head", "class layer of the mask head")
    assert "(2)" in report.remarks[0]
    torch.manual_seed(1)
    fresh = build_model(small_settings(), len(classes))
    assert torch.equal(model.box_head[0].logits.weight, fresh.box_head[0].logits.weight)
    assert torch.equal(model.box_head[0].hidden[0].weight, start.state["box_head.0.hidden.0.weight"])


def test_category_ids_may_differ(detector):
    assert begin(read_start(detector), classes=Classes(CELLS.names, (7, 9)))[1].random == ()


def test_a_mask_head_that_is_switched_off_is_not_used(detector):
    _, report = begin(read_start(detector), NO_MASKS)
    assert "not used: class layer of the mask head, mask head" in str(report)


def test_a_mask_head_that_the_file_lacks_stays_random(tmp_path):
    model = build_model(NO_MASKS, 2)
    save_weights(tmp_path / "boxes.safetensors", model.state_dict(), NO_MASKS, CELLS)
    _, report = begin(read_start(tmp_path / "boxes.safetensors"))
    assert set(report.random) == {"mask head", "class layer of the mask head"}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_plain_resnet_fills_the_backbone(backbone, tmp_path, suffix):
    path = tmp_path / f"resnet18.{suffix}"
    torch.save(backbone, path) if suffix == "pth" else saved(backbone, path)
    start = read_start(path)
    model, report = begin(start)
    assert (start.backbone, start.settings, report.loaded) == ("resnet18", None, STAGES)
    assert set(report.random) == set(HEADS)
    assert torch.equal(
        model.backbone.stages[3][0].shortcut.convolution.weight, backbone["layer4.0.downsample.0.weight"]
    )
    assert torch.equal(model.backbone.stem.norm.running_var, backbone["bn1.running_var"])


def test_the_loaded_backbone_gives_the_features_of_torchvision(backbone, tmp_path):
    peer = torchvision.models.resnet18()
    peer.load_state_dict(backbone)
    layers = create_feature_extractor(peer.eval(), {"layer4": "5"})
    model, _ = begin(read_start(saved(backbone, tmp_path / "resnet18.safetensors")))
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.backbone(image)[5], layers(image)["5"], atol=1e-4, rtol=1e-4)


def test_half_precision_becomes_single(backbone, tmp_path):
    torch.save({name: tensor.half() for name, tensor in backbone.items()}, tmp_path / "half.pth")
    model, _ = begin(read_start(tmp_path / "half.pth"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.backbone.stem.convolution.weight, backbone["conv1.weight"], atol=1e-3, rtol=1e-3)


def test_missing_stages_stay_random_and_are_named(without):
    start = without("layer3", "layer4", "fc")
    _, report = begin(start)
    assert start.backbone == "resnet18"  # no other has two blocks in each of its first stages
    assert report.loaded == ("stem", "stage 2 (layer1)", "stage 3 (layer2)")
    assert report.random[:2] == ("stage 4 (layer3)", "stage 5 (layer4)")
    assert "stem, stage 2 (layer1), stage 3 (layer2); random: stage 4 (layer3)" in str(report)


def test_a_random_stage_with_frozen_norms_keeps_the_size_of_its_input(without):
    model, report = begin(without("layer4"))
    assert len(report.remarks) == 1
    features = model.backbone(torch.randn(2, 3, 96, 96))
    assert 0.3 < features[5].std() / features[4].std() < 3


def test_trainable_norms_of_a_random_stage_are_left_as_they_are(without):
    model, report = begin(without("layer4"), small_settings(norm="batch"))
    assert report.remarks == ()
    assert torch.equal(model.backbone.stages[3][1].step2.norm.weight, torch.ones(512))


@pytest.mark.parametrize(
    ("missing", "settings", "says"),
    [
        pytest.param(
            ("layer2", "layer3", "layer4"),
            {"frozen_stages": 3},
            r"frozen_stages=3.*stage 3 \(layer2\).*frozen_stages=2",
            id="a frozen stage that would stay random",
        ),
        pytest.param((), {"name": "resnet34"}, "name=resnet34.*r.safetensors.*name=resnet18", id="another depth"),
        pytest.param(
            (), {"norm": "group", "frozen_stages": 0}, "norm=group.*r.safetensors.*norm=frozen_batch", id="other norms"
        ),
    ],
)
def test_a_setting_that_does_not_fit_the_file_is_named_with_one_that_does(without, missing, settings, says):
    with pytest.raises(SettingError, match=rf"backbone\.{says}"):
        begin(without(*missing), small_settings(**settings))


def test_group_norms_do_not_fit_batch_norms():
    grouped = Start("g", build_model(small_settings(norm="group"), 2).state_dict(), small_settings(norm="group"), CELLS)
    with pytest.raises(SettingError, match=r"norm=frozen_batch.* g .*norm=group"):
        begin(grouped)


def test_a_tensor_of_another_shape_is_named_with_both_shapes_and_its_part(detector):
    wider = small_settings().model_copy(deep=True)
    wider.neck.channels = 32
    with pytest.raises(WeightsError, match=r"cells\.safetensors: .* neck\.lateral\.0\.bias .*\[16\].*\[32\].* FPN "):
        begin(read_start(detector), wider)


def test_a_deeper_backbone_has_tensors_without_a_place():
    settings = small_settings(name="resnet34")
    deeper = Start("d", build_model(settings, 2).state_dict(), settings, CELLS)
    with pytest.raises(WeightsError, match=r"d: .*backbone.stages.0.2.step1"):
        begin(deeper)


def test_a_part_that_is_there_by_half_is_refused_and_leaves_the_model_unchanged(without):
    model = build_model(small_settings(), 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"r\.safetensors: backbone\.stages\.3\.1\.step1\.convolution\.weight .* 1 "):
        start_from(model, without("layer4.1.conv"), settings=small_settings(), classes=CELLS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("names", "says"),
    [(("conv1.weight", "layer1.0.conv1.weight", "blocks.0.weight"), "1 .*blocks.0.weight"), (("weight",), ".* weight")],
)
def test_a_file_of_something_else_is_refused(tmp_path, names, says):
    path = saved({name: torch.zeros(3) for name in names}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=rf"x\.safetensors: {says}"):
        read_start(path)


def test_an_unknown_name_is_named():
    with pytest.raises(WeightsError, match="resnet50: "):
        read_start("resnet50")


@pytest.mark.skipif(not IMAGENET.exists(), reason="needs resnet50_c1_c4_imagenet.safetensors of the shared folder")
def test_imagenet_weights_without_the_last_stage_give_features_of_order_one():
    settings = ModelSettings.model_validate({"neck": {"channels": 16}, "box_head": {"channels": 16}})
    model, report = begin(read_start(IMAGENET), settings)
    assert report.loaded == STAGES[:4]
    assert report.random[0] == "stage 5 (layer4)"
    features = model.backbone(torch.randn(1, 3, 128, 128))
    assert all(0.05 < level.std() < 20 for level in features.values())
    assert 0.2 < features[5].std() / features[4].std() < 5


def test_a_published_backbone_is_known_by_its_name(backbone, tmp_path, monkeypatch):
    torch.save(backbone, tmp_path / "peer.pth")
    monkeypatch.setitem(PUBLISHED, "peer/resnet18", Published("http://127.0.0.1:9/peer.pth", is_backbone=True))
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path))
    start = read_start("peer/resnet18")
    assert start.backbone == "resnet18"
    assert start.settings is None
    assert begin(start)[1].loaded == STAGES


def test_a_detector_is_fine_tuned_for_other_classes_in_one_call(detector):
    model, report = build_from(detector, ["cat", "dog", "bird"])
    assert len(model.box_head[0].logits.weight) == 4
    assert report.random == ("class layers of the box head", "class layer of the mask head")
    same, report = build_from(str(detector), CELLS)
    assert report.random == ()
    assert all(torch.equal(tensor, read_start(detector).state[name]) for name, tensor in same.state_dict().items())


def test_around_a_plain_backbone_the_settings_are_the_defaults(backbone, tmp_path):
    torch.save(backbone, tmp_path / "resnet18.pth")
    model, report = build_from(tmp_path / "resnet18.pth", ["cell"])
    assert report.loaded == STAGES
    assert len(model.box_head[0].logits.weight) == 2
    assert build_from(read_start(tmp_path / "resnet18.pth"), ["cell"], small_settings())[1].loaded == STAGES


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
        "stage 5 (layer4)": ["shared_head.0.step1.convolution.weight", "backbone.stages.3.0.step1.convolution.weight"],
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
