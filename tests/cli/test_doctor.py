import json

import pytest

from maskrcnn.data.shapes import write_shapes
from tests.builders.made_set import MadeSet


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_set_that_can_be_learned_from_ends_well_and_the_page_is_named(here, run_cli):
    write_shapes(here / "shapes", train=6, val=3, size=64, seed=0)
    done = run_cli("doctor", "--data", "shapes")
    assert done.code == 0
    assert "0 errors" in done.out
    assert "With images and figures: doctor.html" in done.out
    assert (here / "doctor.html").stat().st_size > 10000
    assert done.out.index("\ntrain") < done.out.index("\nval")


def test_what_training_would_stop_at_ends_with_1(here, run_cli):
    made = MadeSet(here / "set", 4)
    made.annotations[0]["category_id"] = 9
    made.write()
    done = run_cli("doctor", "--data", "set", "--report", "out/page.html", "--json", "out/found.json")
    assert done.code == 1
    assert all(words in done.out for words in ("ERROR train: 1 of 4 (25 %)", "`category_id` is 9"))
    assert done.out.index("ERROR") < done.out.index("WARNING")
    assert (here / "out" / "page.html").exists()
    findings = json.loads((here / "out" / "found.json").read_text())
    assert findings["findings"][0]["name"] == "invalid-objects"
    assert "maskrcnn train --data set --skip-invalid" in done.out


def test_the_command_to_train_keeps_what_was_asked_for(here, run_cli):
    made, val = MadeSet(here / "my set", 3), MadeSet(here / "other", 3, split="val", seed=1)
    made.write()
    words = ("box_head.detections_per_image=7", "backbone.frozen_stages=1")
    done = run_cli("doctor", "--data", "my set", *words, "--val", val.write(), "--preset", "paper/R50-FPN")
    assert f"maskrcnn train --data 'my set' --val {here}/other/val.json --preset paper/R50-FPN" in done.out
    assert "box_head.detections_per_image=7" in done.out
    assert "frozen_stages=1" not in done.out
    assert "backbone.frozen_stages=3" in done.out


def test_only_the_splits_that_are_asked_for_are_looked_at(here, run_cli):
    write_shapes(here, train=3, val=2, size=48, seed=0)
    done = run_cli("doctor", "--data", ".", "--split", "val", "--json", "found.json")
    assert list(json.loads((here / "found.json").read_text())["splits"]) == ["val"]
    assert "train:" not in done.out


def test_what_cannot_be_looked_at_is_an_error_at_the_door(here, run_cli):
    assert "nowhere: " in run_cli("doctor", "--data", "nowhere").err
    write_shapes(here, train=2, val=1, size=48, seed=0)
    assert "model.anchor.sizes=8: " in run_cli("doctor", "--data", ".", "model.anchor.sizes=8").err
    assert "images: " in run_cli("doctor", "--data", ".", "--report", "images").err
    assert not (here / "doctor.html").exists()
