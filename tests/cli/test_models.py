import pytest
from typer.testing import CliRunner

from maskrcnn.cli.main import app
from maskrcnn.cli.models import is_setting, open_predictor
from maskrcnn.data.shapes import write_shapes
from maskrcnn.engines import openvino
from maskrcnn.errors import SettingError


def opened(source, *overrides: str, detections: int | None = None):
    return open_predictor(str(source), overrides, device="cpu", precision="float32", detections=detections).settings


def test_settings_change_what_the_weights_say(tiny_weights, tiny_settings):
    assert opened(tiny_weights) == tiny_settings
    settings = opened(tiny_weights, "box_head.detections_per_image=300", "input.min_size=64")
    assert (settings.box_head.detections_per_image, settings.input.min_size) == (300, 64)
    assert settings.input.max_size == tiny_settings.input.max_size


def test_words_win_over_the_number_of_detections_asked_for(tiny_weights):
    assert opened(tiny_weights, detections=500).box_head.detections_per_image == 500
    assert opened(tiny_weights, "box_head.detections_per_image=7", detections=500).box_head.detections_per_image == 7


@pytest.mark.parametrize("words", ["neck.channels=64", "mask_head=null", "box_head.pool_size=9"])
def test_what_the_weights_were_learned_with_cannot_be_changed(tiny_weights, words):
    with pytest.raises(SettingError, match=f"{words}: this cannot be changed when a model predicts.*Can be changed:"):
        opened(tiny_weights, words)


def test_a_wrong_setting_is_said_before_the_weights_are_read():
    with pytest.raises(SettingError, match="did you mean input.min_size"):
        opened("no such weights", "input.min_sizes=3")


def test_a_word_is_a_setting_if_it_looks_like_one_and_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").touch()
    words = ["input.min_size=64", "modl.x=1", "a=b.png", "a.png", "photos/a=b", "=3", "x="]
    assert [is_setting(word) for word in words] == [True, True, False, False, False, False, False]


def test_the_help_of_weights_names_the_libraries_and_where_names_are_listed():
    words = " ".join(CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "400"}).output.split())
    assert all(name in words for name in ("detectron2, mmdetection, torchvision", "maskrcnn models", "nuclei"))


@pytest.mark.parametrize("verb", ["predict", "evaluate", "propose"])
def test_every_verb_that_predicts_takes_the_engine(verb, tmp_path, monkeypatch, run_cli, tiny_weights):
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)
    write_shapes(tmp_path, train=1, val=1, size=64, seed=0)
    images = [tmp_path / "images"] if verb == "predict" else ["--data", tmp_path]
    done = run_cli(verb, *images, "--weights", tiny_weights, "--engine", "openvino")
    assert done.code == 1
    assert "engine openvino: OpenVINO is not installed" in done.err
