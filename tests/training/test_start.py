import pytest
import torch

from maskrcnn.config import RunSettings
from maskrcnn.config.presets import FROM_RANDOM, read_preset
from maskrcnn.errors import SettingError
from maskrcnn.training.start import COCO_WEIGHTS, build_start, choose_start, default_weights
from tests.conftest import CLASSES


def test_random_weights_get_settings_that_suit_them():
    settings = choose_start("none").settings
    assert settings == RunSettings().changed(FROM_RANDOM)
    assert (settings.model.backbone.norm, settings.model.backbone.frozen_stages) == ("group", 0)


def test_the_users_settings_win_over_those_for_random_weights(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("backbone: {norm: batch}\ntrain: {optimizer: sgd}\n")
    settings = choose_start("none", file, ["train.scheduler=step"]).settings
    assert (settings.model.backbone.norm, settings.train.optimizer, settings.train.scheduler) == (
        "batch",
        "sgd",
        "step",
    )


@pytest.mark.parametrize("words", ["backbone.norm=frozen_batch", "backbone.frozen_stages=2"])
def test_random_weights_cannot_be_frozen(words):
    with pytest.raises(SettingError, match="backbone.frozen_stages"):
        build_start(choose_start("none", [words]), CLASSES)


def test_a_detectors_settings_are_those_of_its_file_under_the_users(tiny_weights, tiny_settings):
    start = choose_start(tiny_weights, ["input.min_size=50"])
    assert start.settings.model == tiny_settings.changed({"input.min_size": 50})
    assert start.settings.train == RunSettings().train


def test_a_wrong_setting_is_refused_before_weights_are_read():
    with pytest.raises(SettingError, match="train.steps"):
        choose_start("no such file", ["train.step=3"])


def test_the_seed_gives_the_random_weights():
    words = ["backbone.name=resnet18", "neck.channels=8", "box_head.channels=8"]
    states = [
        build_start(choose_start("none", [*words, f"train.seed={seed}"]), CLASSES)[0].state_dict() for seed in (1, 1, 2)
    ]
    name = "backbone.stem.convolution.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_a_preset_gives_the_model_and_the_user_wins(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("rpn: {post_nms_top_n: 200}\nbox_head: {detections_per_image: 50}\n")
    settings = choose_start(
        "none", file, ["box_head.detections_per_image=60"], preset="detectron2/mask_rcnn_R_50_C4"
    ).settings
    assert (settings.model.neck.name, settings.model.rpn.pre_nms_top_n) == ("c4", 6000)
    assert (settings.model.rpn.post_nms_top_n, settings.model.box_head.detections_per_image) == (200, 60)
    assert (settings.model.backbone.norm, settings.model.backbone.frozen_stages) == ("group", 0)


def test_the_norm_of_a_preset_wins_over_the_one_for_random_weights():
    settings = choose_start("none", preset="torchvision/maskrcnn_resnet50_fpn_v2").settings
    assert (settings.model.backbone.norm, settings.model.backbone.frozen_stages) == ("batch", 0)
    assert settings.train.optimizer == "adamw"


def test_a_preset_wins_over_the_settings_of_the_weights(tiny_weights):
    start = choose_start(tiny_weights, ["input.min_size=50"], preset="paper/R50-FPN")
    assert start.settings.model == read_preset("paper/R50-FPN").changed({"input.min_size": 50})


def test_an_unknown_preset_is_refused_before_weights_are_read():
    with pytest.raises(SettingError, match="paper/R50-C4"):
        choose_start("no such file", preset="R50-C4")


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        (None, "torchvision/maskrcnn_resnet50_fpn"),
        ("torchvision/fasterrcnn_resnet50_fpn_v2", "torchvision/fasterrcnn_resnet50_fpn_v2"),
        ("detectron2/mask_rcnn_R_50_C4", "detectron2/mask_rcnn_R_50_C4_3x"),
        ("paper/R101-C4", "torchvision/resnet101"),
        ("mmdetection/mask_rcnn_x101_32x8d_fpn", "torchvision/resnext101_32x8d"),
    ],
)
def test_training_starts_from_the_best_published_weights_of_a_preset(preset, weights):
    assert default_weights(preset) == weights


@pytest.mark.parametrize(
    ("backbone", "weights"),
    [("resnet50", COCO_WEIGHTS), ("resnet101", "torchvision/resnet101"), ("mobilenet_v3_large", None)],
)
def test_another_backbone_than_that_of_cocos_weights_starts_from_its_own(backbone, weights):
    assert default_weights(None, backbone) == weights


def test_the_name_of_published_weights_serves_as_a_preset():
    preset, name = "detectron2/mask_rcnn_R_50_C4", "detectron2/R50-C4-1x"
    assert choose_start("none", preset=name) == choose_start("none", preset=preset)
    assert default_weights(name) == default_weights(preset)
