import pytest
import yaml

from maskrcnn.config import ModelSettings, RunSettings
from maskrcnn.config.base import walk_settings
from maskrcnn.config.presets import preset_changes, preset_names
from maskrcnn.errors import SettingError
from maskrcnn.weights.published import preset_settings


def changed(*overrides, file=None):
    return RunSettings().changed(file, overrides)


def refused(*overrides, file=None):
    with pytest.raises(SettingError) as caught:
        changed(*overrides, file=file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "section", "name", "value"),
    [
        ("box_head.detections_per_image=300", "box_head", "detections_per_image", 300),
        ("train.scheduler=cosine", "train", "scheduler", "cosine"),
        ("train.learning_rate=1e-3", "train", "learning_rate", 0.001),
        ("augment.scale=0.5,2", "augment", "scale", (0.5, 2.0)),
        ("augment.scale=[0.5, 2]", "augment", "scale", (0.5, 2.0)),
        ("train.milestones=0.8,", "train", "milestones", (0.8,)),
        ("augment.rotate90=true", "augment", "rotate90", True),
        ("train.clip_grad_norm=none", "train", "clip_grad_norm", None),
        ("mask_head=null", "model", "mask_head", None),
        ("data.balance=modality=x", "data", "balance", "modality=x"),
    ],
)
def test_a_value_is_read_as_the_setting_needs_it(words, section, name, value):
    settings = changed(words)
    for part in section.split("."):
        settings = getattr(settings, part)
    assert getattr(settings, name) == value


def test_without_changes_the_settings_stay_as_they_are():
    assert changed() == RunSettings()


def test_the_settings_one_starts_from_are_not_touched():
    start = RunSettings()
    start.changed(["box_head.detections_per_image=7"])
    assert start == RunSettings()


def test_the_command_line_wins_over_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("train: {steps: 10, seed: 3}\nmask_head: null\n")
    settings = changed("train.steps=20", file=file)
    assert (settings.train.steps, settings.train.seed, settings.model.mask_head) == (20, 3, None)


def test_a_section_that_was_switched_off_can_be_set_again():
    settings = changed("mask_head=null", "mask_head.channels=8")
    assert settings.model.mask_head.channels == 8
    assert settings.model.mask_head.pool_size == RunSettings().model.mask_head.pool_size


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        pytest.param(
            "box_head.detection=300",
            ["box_head.detection=300: ", "mean box_head.detections_per_image?", "In box_head: pool_size, convolutions"],
            id="a key is misspelled",
        ),
        pytest.param("channels=8", ["mean neck.channels or box_head.channels or mask_head"], id="no section"),
        pytest.param("zzz=1", ["In the settings: input, backbone, neck, anchors,"], id="a key like none other"),
        pytest.param("train.steps=-5", ["train.steps=-5: ", "at least 1"], id="below its limit"),
        pytest.param(
            "box_head.score_threshold=1.5", ["threshold=1.5: ", "at least 0 and at most 1"], id="above its limit"
        ),
        pytest.param("train.clip_grad_norm=0", ["clip_grad_norm=0: ", "above 0"], id="at its limit"),
        pytest.param("train.steps=1.5", ["train.steps=1.5: ", "whole number"], id="no whole number"),
        pytest.param("augment.rotate90=maybe", ["rotate90=maybe: ", "true or false"], id="no truth value"),
        pytest.param("augment.scale=0.5,x", ["augment.scale=0.5,x: [1]=x", "a number"], id="no number in a list"),
        pytest.param("box_head.delta_weights=1,2", ["delta_weights=1,2: [2]"], id="a short list"),
        pytest.param("train.scheduler=cos", ["scheduler=cos: ", "'step' or 'cosine'", "mean cosine?"], id="a choice"),
        pytest.param("backbone.name=resnet5O", ["name=resnet5O: ", "mean resnet50?"], id="a choice or a pattern"),
        pytest.param("input.mean=0.5,", ["input: mean has 1 and std 3"], id="two values that do not fit"),
        pytest.param("neck=3", ["neck=3: "], id="a section"),
        pytest.param("train.steps", ["train.steps: ", "key=value"], id="no value"),
        pytest.param("train.steps=", ["train.steps=: ", "key=value"], id="an empty value"),
        pytest.param("augment.scale=[1", ["'[1'"], id="no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_rule_in_plain_words(words, parts):
    message = refused(words)
    assert [part for part in parts if part not in message] == []
    assert "Value error" not in message
    assert "nput should" not in message


@pytest.mark.parametrize(
    ("give", "named"),
    [
        (lambda: RunSettings(train={"steps": 0}), "train.steps=0: "),
        (lambda: RunSettings(train={"step": 5}), "did you mean train.steps?"),
        (lambda: RunSettings().train.__setattr__("steps", 0), "steps=0: "),
        (lambda: RunSettings().train.__setattr__("step", 5), "did you mean steps?"),
    ],
    ids=["constructed", "constructed, misspelled", "assigned", "assigned, misspelled"],
)
def test_settings_that_are_not_changed_but_made_or_assigned_name_the_same(give, named):
    with pytest.raises(SettingError) as caught:
        give()
    assert named in str(caught.value)


def test_every_wrong_value_is_named_at_once():
    assert len(refused("train.steps=0", "train.warmup_steps=-1").splitlines()) == 2


def test_a_wrong_key_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("train: {step: 10}\n")
    message = refused(file=file)
    assert message.startswith(f"{file}: train.step=10: ")
    assert "did you mean train.steps?" in message


@pytest.mark.parametrize("text", ["train: [", "- a\n- b\n", "", None], ids=["no YAML", "a list", "empty", "missing"])
def test_a_file_without_settings_is_named(tmp_path, text):
    file = tmp_path / "run.yaml"
    if text is not None:
        file.write_text(text)
    assert refused(file=file).startswith(f"{file}: ")


def test_a_list_of_settings_is_given_whole(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("cascade: {stages: [{positive_iou: 0.4, delta_weights: [1, 1, 1, 1]}]}")
    assert [stage.positive_iou for stage in changed(file=file).model.cascade.stages] == [0.4]
    assert "cascade.stages.positive_iou" in refused("cascade.stages.positive_iou=0.4")


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_and_a_file_of_its_changes_give_the_same_settings(preset, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(preset_changes(preset)))
    assert changed(file=file) == preset_settings(preset)


def test_dictionaries_words_and_settings_say_the_same():
    model = {"box_head": {"detections_per_image": 7}, "mask_head": None, "cascade": {}}
    expected = RunSettings.model_validate({**model, "train": {"steps": 5}})
    nested, dotted = model, {"train.steps": 5}
    words = ["box_head.detections_per_image=7", "mask_head=null", "cascade={}", "train.steps=5"]
    for changes in ((nested, dotted), (words,), (expected,), (None, nested, {"train.steps": 1}, dotted)):
        assert RunSettings().changed(*changes) == expected


def test_every_class_of_settings_changes_its_own():
    settings = ModelSettings().changed({"box_head.detections_per_image": 7})
    assert settings.box_head.detections_per_image == 7


def test_a_section_that_stands_keeps_its_values_when_it_is_switched_on():
    settings = RunSettings().changed({"mask_head.channels": 8})
    assert settings.changed({"mask_head": {}}) == settings


@pytest.mark.parametrize("key", ["box_head.detections_per_image", "rpn.post_nms_top_n", "backbone.norm_epsilon"])
def test_what_leaves_the_layers_alone_may_change_at_prediction(key):
    value = 7 if "norm" not in key else 0.5
    assert RunSettings().changed_at_prediction({key: value}) == RunSettings().changed({key: value})


@pytest.mark.parametrize("key", ["neck.channels", "box_head.pool_size", "train.steps"])
def test_what_weights_were_trained_with_may_not_change_at_prediction(key):
    with pytest.raises(SettingError, match=f"{key}=64.*: input, "):
        RunSettings().changed_at_prediction({key: 64})


def test_sections_come_before_what_is_in_them():
    keys = [key for key, _ in walk_settings(RunSettings)]
    assert keys.index("box_head") < keys.index("box_head.detections_per_image")
    assert "mask_head.channels" in keys
