import json
import re

import pytest
import typer
from typer.testing import CliRunner

from maskrcnn.cli import options
from maskrcnn.cli.main import app
from maskrcnn.config import TTASettings
from maskrcnn.data.shapes import write_shapes
from maskrcnn.engines import openvino
from maskrcnn.errors import SettingError

VERBS = sorted(command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands)


def test_a_word_is_a_setting_if_it_looks_like_one_and_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").touch()
    words = ["input.min_size=64", "modl.x=1", "a=b.png", "a.png", "photos/a=b", "=3", "x="]
    assert [options.is_setting(word) for word in words] == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("flip", TTASettings(flip=True), id="flip"),
        pytest.param("400, 600,1.5", TTASettings(scales=(400, 600, 1.5)), id="scales"),
        pytest.param("flip,600", TTASettings(flip=True, scales=(600,)), id="both"),
    ],
)
def test_one_option_names_test_time_augmentation(words, expected):
    assert options.parse_tta(words) == expected


@pytest.mark.parametrize("words", ["", "600,", "600;800", "0", "-3", "nan", "inf", "flop"])
def test_scales_that_are_no_numbers_are_named(words):
    with pytest.raises(SettingError, match=f"--tta {words}:"):
        options.parse_tta(words)


@pytest.mark.parametrize(("words", "expected"), [(None, None), ("best", "best"), ("0.3", 0.3)])
def test_a_score_threshold_is_a_number_or_best(words, expected):
    assert options.parse_threshold(words) == expected


@pytest.mark.parametrize("words", ["1.5", "-1", "nan", "bst"])
def test_another_score_threshold_is_named(words):
    with pytest.raises(SettingError, match=f"--score-threshold {words}"):
        options.parse_threshold(words)


def test_predict_and_evaluate_take_test_time_augmentation(tmp_path, monkeypatch, tiny_weights, run_cli):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path, train=1, val=2, size=64, seed=0)
    words = ["--weights", tiny_weights, "--tta", "flip,64,96"]
    assert run_cli("predict", "images/val_0001.png", *words, "--no-draw").code == 0
    [found] = json.loads((tmp_path / "predictions" / "predictions.json").read_text())["images"]
    assert len(found["objects"]) == 100
    done = run_cli("evaluate", "--data", "val.json", "--images", "images", *words, "--json", "scores.json")
    assert done.code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["tta"] == {"flip": True, "scales": [64, 96]}
    assert scores["bbox"]["AP"] >= 0
    wrong = run_cli("predict", "images/val_0001.png", "--weights", tiny_weights, "--tta", "2")
    assert (wrong.code, "scale 2" in wrong.err) == (1, True), "these weights have no input.scale_factor"


@pytest.mark.parametrize("verb", ["predict", "evaluate", "propose"])
def test_every_verb_that_predicts_takes_the_engine(verb, tmp_path, monkeypatch, run_cli, tiny_weights):
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)
    write_shapes(tmp_path, train=1, val=1, size=64, seed=0)
    images = [tmp_path / "images"] if verb == "predict" else ["--data", tmp_path]
    done = run_cli(verb, *images, "--weights", tiny_weights, "--engine", "openvino")
    assert done.code == 1
    assert "engine openvino" in done.err


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("verb", VERBS)
def test_help_is_not_cut(verb, columns):
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": str(columns)}).output
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= columns


@pytest.mark.parametrize("verb", VERBS)
def test_many_options_stand_in_panels(verb):
    command = typer.main.get_command(app).commands[verb]
    panels = [getattr(one, "rich_help_panel", None) for one in command.params if one.name != "overrides"]
    assert len(panels) <= 8 or len([panel for panel in panels if panel is None]) <= 2
    assert len(panels) <= 20


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        pytest.param(["--polygons"], ["quad", "contour"], id="choices"),
        pytest.param(["--precision"], ["bfloat16", "float32", "auto"], id="choices with a default"),
        pytest.param(["--polygons", "circle"], ["circle", "quad", "contour"], id="wrong choice"),
    ],
)
def test_a_missing_or_wrong_value_is_said_with_those_there_are(run_cli, words, meant):
    done = run_cli("predict", "a.png", "--weights", "nuclei", *words)
    assert done.code == 2
    said = re.sub(r"[│\s]+", " ", done.err)
    assert [one for one in meant if one not in said] == []
    assert "Value error" not in said


def test_wrong_words_of_a_verb_without_choices_are_those_of_typer(run_cli):
    assert "--colour" in run_cli("demo", "--colour").err
