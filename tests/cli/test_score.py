import json

import pytest

from tests.cli.coco_folder import perfect


@pytest.fixture
def score(coco, run_cli):
    """Scores records that are saved as `r.json`; gives what the command said, and its report."""

    def run(records, *words):
        (coco.parent / "r.json").write_text(json.dumps(records))
        file = coco / "annotations" / "instances_val2017.json"
        done = run_cli("score", "--data", file, "--results", "r.json", "--json", "s.json", *words)
        return done, json.loads((coco.parent / "s.json").read_text()) if done.code == 0 else {}

    return run


def test_saved_predictions_are_scored_without_model_and_images(coco, score):
    for image in (coco / "val2017").iterdir():
        image.unlink()
    _, report = score(perfect(coco))
    assert report["bbox"]["AP"] == report["segm"]["AP"] == report["accuracy"]["0.9"] == 1
    assert report["results_file"] == str(coco.parent / "r.json")
    assert "mmocr" not in report


def test_words_are_scored_by_three_rules(coco, score):
    done, report = score(perfect(coco), "--text", "--score-threshold", 0.1)
    assert all("score from 0.1" in report["rules"][rule] for rule in ("icdar2015", "ctw1500"))
    assert set(report["mmocr"]) == {"precision", "recall", "hmean"}
    assert "hmean" in done.out


def test_a_mask_of_another_size_is_named(coco, score):
    records = perfect(coco)
    records[1]["segmentation"] = {"size": [9, 9], "counts": [81]}
    done, _ = score(records)
    assert done.code == 1
    assert "record 1: its mask is of size [9, 9]" in done.err


def test_the_file_of_predict_must_have_all_images(coco, score):
    done, _ = score({"classes": [], "images": [], "failed": []})
    assert done.code == 1
    assert all(words in done.err for words in ("r.json", "has 0 of"))


@pytest.mark.parametrize("content", ["<html>", "\x89PNG", "{}", '{"rules": {}}'])
def test_another_run_has_results_or_a_report(coco, score, content):
    (coco.parent / "other.html").write_text(content, encoding="latin-1")
    done, _ = score(perfect(coco), "--compare", "other.html")
    assert done.code == 1
    assert "Error: other.html: " in done.err


@pytest.mark.parametrize("verb", ["score", "benchmark"])
def test_errors_are_listed_and_drawn_and_two_runs_compared(coco, run_cli, verb):
    file, records = coco / "annotations" / "instances_val2017.json", perfect(coco)
    for name, saved in (("best.json", records), ("worse.json", records[1:])):
        (coco.parent / name).write_text(json.dumps(saved))
    scored = {"score": ("score", "--data", file), "benchmark": ("benchmark", "coco", "--data", coco)}[verb]
    words = ("--results", "worse.json", "--worst", "drawn", "--compare", "best.json", "--json", "s.json")
    done = run_cli(*scored, *words)
    assert done.code == 0, done.err
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["errors"]["segm"]
    assert report["worst_images"][0]["image"] in {one["file_name"] for one in json.loads(file.read_text())["images"]}
    assert report["compare"]["other"] == "best.json"
    assert report["compare"]["segm"]["AP"]["first"] == 1
    assert all(words in done.out for words in ("missed", "this run against best.json"))
    assert "Drawn into drawn" in done.err
    assert list((coco.parent / "drawn").glob("*.png"))
    assert run_cli(*scored, "--results", "best.json", "--errors").code == 0
    assert not list(coco.parent.glob("errors*"))
