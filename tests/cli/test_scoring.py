import json

import pytest

from maskrcnn.data.shapes import write_shapes


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """Two generated pictures laid out as COCO's val2017."""
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", train=1, val=2, size=64, seed=0)
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    content = json.loads((tmp_path / "shapes" / "val.json").read_text())
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    (tmp_path / "shapes" / "images").rename(tmp_path / "coco" / "val2017")
    return tmp_path / "coco"


def perfect(coco):
    content = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    return [
        {key: one[key] for key in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 0.9}
        for one in content["annotations"]
    ]


def test_a_benchmark_predicts_scores_and_keeps_the_predictions(coco, run_cli, tiny_weights):
    words = ("evaluate", "--benchmark", "coco", "--data", coco)
    done = run_cli(*words, "--weights", tiny_weights, "--results", "r.json", "--json", "one.json")
    assert done.code == 0
    assert "masks" in done.out
    again = run_cli(*words, "--results", "r.json", "--json", "two.json")
    assert again.code == 0
    one, two = (json.loads((coco.parent / name).read_text()) for name in ("one.json", "two.json"))
    assert one["bbox"] == two["bbox"]
    assert one["segm"] == two["segm"]
    assert (one["benchmark"], one["split"], one["pictures"]) == ("coco", "val", 2)
    assert one["predictions"] == len(json.loads((coco.parent / "r.json").read_text())) > 0
    assert "100 detections" in one["rules"]["segm"]
    assert "faster-coco-eval" in one["versions"]


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
    assert run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--results", "r.json").code == 0


def test_no_predictions_score_nothing(coco, run_cli):
    (coco.parent / "r.json").write_text("[]")
    done = run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--results", "r.json", "--json", "s.json")
    assert done.code == 0
    assert json.loads((coco.parent / "s.json").read_text())["segm"]["AP"] == 0


def test_predictions_are_kept_before_they_are_scored(coco, run_cli, tiny_weights, monkeypatch):
    monkeypatch.setattr("maskrcnn.cli.scoring._score", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--weights", tiny_weights, "--results", "r.json")
    assert json.loads((coco.parent / "r.json").read_text())


def test_a_split_without_public_annotations_has_a_submission_but_no_scores(coco, run_cli, tiny_weights):
    (coco / "annotations" / "instances_val2017.json").rename(coco / "annotations" / "image_info_test-dev2017.json")
    content = json.loads((coco / "annotations" / "image_info_test-dev2017.json").read_text())
    (coco / "annotations" / "image_info_test-dev2017.json").write_text(json.dumps({**content, "annotations": []}))
    (coco / "val2017").rename(coco / "test2017")
    words = ("--benchmark", "coco", "--data", coco, "--split", "test-dev", "--weights", tiny_weights)
    done = run_cli("evaluate", *words, "--submission", "sent", "--json", "s.json")
    assert done.code == 0
    assert "not public" in done.out
    assert "segm" not in json.loads((coco.parent / "s.json").read_text())
    assert list(coco.parent.glob("sent*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "evaluate needs --weights, to predict, or --results"),
        (("--benchmark", "cocoa", "--results", "r.json"), "--benchmark cocoa: there is no such benchmark. Known are"),
        (("--benchmark", "coco", "--split", "dev", "--results", "r.json"), "coco has val, minival, test-dev"),
        (("--benchmark", "coco", "--results", "r.json", "--where", "a=b"), "--where: a benchmark has its own files"),
        (("--results", "r.json", "--submission", "s"), "only the server of a benchmark takes one"),
        (("--benchmark", "coco", "--results", "none.json"), "none.json"),
        (("--benchmark", "coco", "--split", "minival", "--results", "r.json"), "instances_minival2014.json"),
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
    done = run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--results", "r.json")
    assert done.code == 1
    assert "record 1: its mask is of size [9, 9]" in done.err


def test_errors_are_listed_and_drawn_and_two_runs_compared(coco, run_cli):
    records = perfect(coco)
    (coco.parent / "best.json").write_text(json.dumps(records))
    (coco.parent / "worse.json").write_text(json.dumps(records[1:]))
    words = ("--results", "worse.json", "--errors", "--pictures", 1, "--output", "drawn", "--compare", "best.json")
    done = run_cli("evaluate", "--benchmark", "coco", "--data", coco, *words, "--json", "s.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["errors"]["segm"]
    assert report["worst_pictures"]
    assert report["compare"]["other"] == "best.json"
    assert "missed" in done.out
    assert list((coco.parent / "drawn").glob("*.png"))
    only = run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--results", "best.json", "--errors")
    assert only.code == 0
    assert not list(coco.parent.glob("errors*"))


def test_a_score_threshold_is_for_benchmarks_that_do_not_rank(coco, run_cli):
    records = [{**one, "score": 0.4} for one in perfect(coco)]
    (coco.parent / "r.json").write_text(json.dumps(records))
    file = coco / "annotations" / "instances_val2017.json"
    found = {}
    for threshold in (0.3, 0.5):
        words = ("--results", "r.json", "--score-threshold", threshold, "--json", "s.json", "--submission", "s.csv")
        assert run_cli("evaluate", "--benchmark", "nuclei", "--data", file, *words).code == 0
        rows = (coco.parent / "s.csv").read_text().splitlines()
        report = json.loads((coco.parent / "s.json").read_text())
        found[threshold] = (report["accuracy"]["accuracy50"] > 0, len(rows) > 3, report["score_threshold"])
    assert found == {0.3: (True, True, 0.3), 0.5: (False, False, 0.5)}
    done = run_cli("evaluate", "--benchmark", "coco", "--data", coco, "--results", "r.json", "--score-threshold", 0.3)
    assert done.code == 1
    assert "coco ranks predictions by their scores" in done.err
