import json

import pytest

from tests.cli.coco_folder import perfect


def test_saved_predictions_are_scored_without_model_and_pictures(coco, run_cli):
    (coco.parent / "r.json").write_text(json.dumps(perfect(coco)))
    for picture in (coco / "val2017").iterdir():
        picture.unlink()
    file = coco / "annotations" / "instances_val2017.json"
    done = run_cli("evaluate", "--data", file, "--results", "r.json", "--json", "s.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["bbox"]["AP"] == report["segm"]["AP"] == report["accuracy"]["0.9"] == 1
    assert report["results_file"] == str(coco.parent / "r.json")
    assert run_cli("benchmark", "coco", "--data", coco, "--results", "r.json").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "evaluate needs --weights, to predict, or --results"),
        (("--results", "r.json", "--flip"), "--flip: only what a model predicts now"),
    ],
)
def test_words_that_do_not_fit_together_give_one_message(coco, run_cli, words, message):
    (coco.parent / "r.json").write_text("[]")
    done = run_cli("evaluate", "--data", coco, *words)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_a_mask_of_another_size_is_named(coco, run_cli):
    records = perfect(coco)
    records[1]["segmentation"] = {"size": [9, 9], "counts": [81]}
    (coco.parent / "r.json").write_text(json.dumps(records))
    done = run_cli("benchmark", "coco", "--data", coco, "--results", "r.json")
    assert done.code == 1
    assert "record 1: its mask is of size [9, 9]" in done.err


def test_errors_are_listed_and_drawn_and_two_runs_compared(coco, run_cli):
    records = perfect(coco)
    (coco.parent / "best.json").write_text(json.dumps(records))
    (coco.parent / "worse.json").write_text(json.dumps(records[1:]))
    words = ("--results", "worse.json", "--errors", "--pictures", 1, "--output", "drawn", "--compare", "best.json")
    done = run_cli("benchmark", "coco", "--data", coco, *words, "--json", "s.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["errors"]["segm"]
    assert report["worst_pictures"]
    file = coco / "annotations" / "instances_val2017.json"
    assert report["worst_pictures"][0]["picture"] in {
        one["file_name"] for one in json.loads(file.read_text())["images"]
    }
    done = run_cli("evaluate", "--data", file, "--results", "worse.json", "--errors", "--json", "t.json")
    again = json.loads((coco.parent / "t.json").read_text())
    assert again["worst_pictures"][0]["picture"] == report["worst_pictures"][0]["picture"]
    assert report["compare"]["other"] == "best.json"
    assert "missed" in done.out
    assert list((coco.parent / "drawn").glob("*.png"))
    only = run_cli("benchmark", "coco", "--data", coco, "--results", "best.json", "--errors")
    assert only.code == 0
    assert not list(coco.parent.glob("errors*"))
