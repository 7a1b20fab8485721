import pytest
import yaml

from maskrcnn.config import ModelSettings, RunSettings
from maskrcnn.config.overrides import walk_settings
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


def test_a_wrong_key_names_its_neighbor_and_what_is_there():
    message = refused("box_head.detection=300")
    assert message.startswith(
        "box_head.detection=300: there is no setting box_head.detection; "
        "did you mean box_head.detections_per_image? In box_head: pool_size, convolutions,"
    )


def test_a_key_without_its_section_names_the_sections_that_have_it():
    assert "did you mean neck.channels or box_head.channels or mask_head" in refused("channels=8")


def test_a_key_like_none_other_lists_the_sections():
    assert "In the settings: input, backbone, neck, anchors," in refused("zzz=1")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("box_head.nms_threshold=3", "(from 0 to 1)"),
        ("backbone.name=foo", "backbone.name=foo: input should be"),
        ("input.mean=1,2", "input.mean=1,2: mean has 2 and std 3"),
        ("train.steps=-5", "train.steps=-5: input should be greater than or equal to 1."),
        ("augment.scale=0.5,x", "augment.scale=0.5,x: input should be a valid number"),
        ("train.scheduler=cos", "train.scheduler=cos: input should be 'step' or 'cosine'."),
        ("train.steps", "train.steps: settings are written as key=value"),
        ("train.steps=", "train.steps=: settings are written as key=value"),
        ("augment.scale=[1", "'[1' is neither a number, a word nor a list"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(words, rule):
    assert rule in refused(words)


def test_every_wrong_value_is_named_at_once():
    assert len(refused("train.steps=0", "train.warmup_steps=-1").splitlines()) == 2


def test_a_wrong_key_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("train: {step: 10}\n")
    message = refused(file=file)
    assert message.startswith(f"{file}: train.step=10: there is no setting train.step; did you mean train.steps?")


@pytest.mark.parametrize("text", ["train: [", "- a\n- b\n", ""])
def test_a_file_without_settings_is_named(tmp_path, text):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert refused(file=file).startswith(f"{file}: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "cannot be read as YAML" in refused(file=tmp_path / "none.yaml")


def test_a_list_of_settings_is_given_whole(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("cascade: {stages: [{positive_iou: 0.4, delta_weights: [1, 1, 1, 1]}]}")
    assert [stage.positive_iou for stage in changed(file=file).model.cascade.stages] == [0.4]
    assert "there is no setting cascade.stages.positive_iou" in refused("cascade.stages.positive_iou=0.4")


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


def test_every_class_of_settings_changes_its_own_and_validates():
    settings = ModelSettings().changed({"box_head.detections_per_image": 7})
    assert settings.box_head.detections_per_image == 7
    with pytest.raises(SettingError, match=r"box_head\.detections_per_image=0"):
        settings.changed({"box_head": {"detections_per_image": 0}})
    with pytest.raises(SettingError, match=r"did you mean box_head\.detections_per_image"):
        settings.changed({"box_head.detection": 3})


def test_a_section_that_stands_keeps_its_values_when_it_is_switched_on():
    settings = RunSettings().changed({"mask_head.channels": 8})
    assert settings.changed({"mask_head": {}}) == settings


@pytest.mark.parametrize("key", ["box_head.detections_per_image", "rpn.post_nms_top_n", "backbone.norm_epsilon"])
def test_what_leaves_the_layers_alone_may_change_at_prediction(key):
    value = 7 if "norm" not in key else 0.5
    assert RunSettings().changed_at_prediction({key: value}) == RunSettings().changed({key: value})


@pytest.mark.parametrize("key", ["neck.channels", "box_head.pool_size", "train.steps"])
def test_what_weights_were_learned_with_may_not_change_at_prediction(key):
    with pytest.raises(SettingError, match=f"{key}=64.*Can be changed: input, "):
        RunSettings().changed_at_prediction({key: 64})


def test_sections_come_before_what_is_in_them():
    keys = [key for key, _ in walk_settings(RunSettings)]
    assert keys.index("box_head") < keys.index("box_head.detections_per_image")
    assert "mask_head.channels" in keys
