import json

import pytest
from PIL import Image

from maskrcnn.cli.models import chosen_tta
from maskrcnn.config import TTASettings
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import SettingError


def test_two_options_name_the_views():
    assert chosen_tta(False, None) is None
    assert chosen_tta(True, None) == TTASettings(flip=True)
    assert chosen_tta(False, "400, 600,1.5") == TTASettings(scales=(400, 600, 1.5))


@pytest.mark.parametrize("words", ["", "600,", "600;800", "0", "-3", "nan", "inf"])
def test_scales_that_are_no_numbers_are_named(words):
    with pytest.raises(SettingError, match=f"--scales {words}: scales are positive numbers with commas between"):
        chosen_tta(False, words)


def test_predict_and_evaluate_take_views(tmp_path, monkeypatch, tiny_weights, run_cli):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path, train=1, val=2, size=64, seed=0)
    views = ["--weights", tiny_weights, "--flip", "--scales", "64,96"]
    done = run_cli("predict", "images/val_0001.png", *views, "--no-draw")
    assert done.code == 0
    [found] = json.loads((tmp_path / "predictions" / "predictions.json").read_text())["images"]
    assert len(found["objects"]) == 100
    done = run_cli("evaluate", "--data", "val.json", "--images", "images", *views, "--json", "scores.json")
    assert done.code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["tta"] == {"flip": True, "scales": [64, 96]}
    assert scores["bbox"]["AP"] >= 0


def test_a_scale_of_the_other_kind_is_named(tmp_path, monkeypatch, tiny_weights, run_cli):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30)).save("a.png")
    done = run_cli("predict", "a.png", "--weights", tiny_weights, "--scales", "2")
    assert done.code != 0
    assert "scale 2: scales are lengths of the shorter side" in done.err
