import json
import re

import numpy as np
import pytest
from PIL import Image

from maskrcnn.benchmarks.registry import BENCHMARKS
from tests.builders.cityscapes import write_city
from tests.builders.mhp import ANNA, lay_out
from tests.cli.coco_folder import perfect


def test_a_benchmark_predicts_scores_and_keeps_the_predictions(coco, run_cli, tiny_weights):
    words = ("benchmark", "coco", "--data", coco)
    done = run_cli(*words, "--weights", tiny_weights, "--results", "r.json", "--json", "one.json")
    assert done.code == 0
    assert "masks" in done.out
    again = run_cli(*words, "--results", "r.json", "--json", "two.json")
    assert again.code == 0
    one, two = (json.loads((coco.parent / name).read_text()) for name in ("one.json", "two.json"))
    assert one["bbox"] == two["bbox"]
    assert one["segm"] == two["segm"]
    assert (one["benchmark"], one["split"], one["images"]) == ("coco", "val", 2)
    assert one["predictions"] == len(json.loads((coco.parent / "r.json").read_text())) > 0
    assert "100 detections" in one["rules"]["segm"]
    assert "faster-coco-eval" in one["versions"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("coco",), "--weights"),
        (("coco", "--results", "r.json", "--tta", "flip"), "--tta"),
        (("cocoa", "--results", "r.json"), "cocoa: "),
        (("coco", "--split", "dev", "--results", "r.json"), "val, minival, test-dev"),
        (("coco", "--results", "none.json"), "none.json"),
        (("coco", "--split", "minival", "--results", "r.json"), "instances_minival2014.json"),
        (("coco", "--results", "r.json", "--compare", "none.json"), "--compare none.json: "),
        (("coco", "--results", "r.json", "--score-threshold", 0.3), "--score-threshold"),
        (("nuclei", "--results", "r.json", "--submission", "coco"), "coco: "),
        (("coco-boundary", "--weights", "none.safetensors", "--submission", "sent"), "submission sent"),
    ],
)
def test_words_that_do_not_fit_together_give_one_message(coco, run_cli, words, message):
    (coco.parent / "r.json").write_text("[]")
    done = run_cli("benchmark", *words, "--data", coco)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_no_predictions_score_nothing(coco, run_cli):
    (coco.parent / "r.json").write_text("[]")
    done = run_cli("benchmark", "coco", "--data", coco, "--results", "r.json", "--json", "s.json")
    assert done.code == 0
    assert json.loads((coco.parent / "s.json").read_text())["segm"]["AP"] == 0


def test_predictions_are_kept_before_they_are_scored(coco, run_cli, tiny_weights, monkeypatch):
    monkeypatch.setattr("maskrcnn.benchmarks.benchmark.Benchmark.score", lambda *_: 1 / 0)
    done = run_cli("benchmark", "coco", "--data", coco, "--weights", tiny_weights, "--results", "r.json")
    assert "ZeroDivisionError" in done.err
    assert json.loads((coco.parent / "r.json").read_text())


def test_a_split_without_public_annotations_has_a_submission_but_no_scores(coco, run_cli, tiny_weights):
    (coco / "annotations" / "instances_val2017.json").rename(coco / "annotations" / "image_info_test-dev2017.json")
    content = json.loads((coco / "annotations" / "image_info_test-dev2017.json").read_text())
    (coco / "annotations" / "image_info_test-dev2017.json").write_text(json.dumps({**content, "annotations": []}))
    (coco / "val2017").rename(coco / "test2017")
    words = ("coco", "--data", coco, "--split", "test-dev", "--weights", tiny_weights)
    done = run_cli("benchmark", *words, "--submission", "sent", "--json", "s.json")
    assert done.code == 0
    assert "not public" in done.err
    assert "2 images, " in done.out
    assert not {"segm", "objects"} & json.loads((coco.parent / "s.json").read_text()).keys()
    assert list(coco.parent.glob("sent*"))
    assert run_cli("benchmark", *words[:-2], "--results", coco.parent / "sent", "--submission", "sent").code == 0
    done = run_cli("benchmark", *words)
    assert done.code == 1
    assert all(words in done.err for words in ("coco test-dev: ", "--submission"))


def test_whole_people_are_no_submission_to_mhp_however_they_are_predicted(tmp_path, run_cli):
    words = ("mhp", "--data", lay_out(tmp_path, {"1": [ANNA]}), "--weights", "no_such.safetensors")
    done = run_cli("benchmark", *words, "--submission", tmp_path / "people.zip")
    assert done.code == 1
    assert all(words in done.err for words in ("--submission", "`parts`"))


def test_a_score_threshold_is_for_benchmarks_that_do_not_rank(coco, run_cli):
    records = [{**one, "score": 0.4} for one in perfect(coco)]
    (coco.parent / "r.json").write_text(json.dumps(records))
    file = coco / "annotations" / "instances_val2017.json"
    found = {}
    for threshold in (0.3, 0.5):
        words = ("--results", "r.json", "--score-threshold", threshold, "--json", "s.json", "--submission", "s.csv")
        assert run_cli("benchmark", "nuclei", "--data", file, *words).code == 0
        rows = (coco.parent / "s.csv").read_text().splitlines()
        report = json.loads((coco.parent / "s.json").read_text())
        assert report["objects"] == len(records), "no section takes the name of a count"
        found[threshold] = (report["accuracy"]["accuracy50"] > 0, len(rows) > 3, report["score_threshold"])
    assert found == {0.3: (True, True, 0.3), 0.5: (False, False, 0.5)}


def test_what_is_wrong_with_results_of_a_servers_format_is_said_of_their_file(tmp_path, run_cli):
    write_city(tmp_path / "data", {"aachen_000000_000019": np.full((20, 20), 7, dtype=np.uint16)})
    (tmp_path / "street").mkdir()
    Image.fromarray(np.ones((20, 20), dtype=np.uint8)).save(tmp_path / "street" / "m.png")
    (tmp_path / "street" / "aachen_000000_000019.txt").write_text("m.png 26 1.5")
    words = ("cityscapes", "--data", tmp_path / "data", "--results", tmp_path / "street")
    assert "Error: street: record 0: score 1.5 " in run_cli("benchmark", *words).err


def test_the_help_names_all_benchmarks(run_cli):
    text = re.sub(r"[\s│]+", "", run_cli("benchmark", "--help").out)
    assert ",".join(BENCHMARKS) in text


def test_a_benchmark_s_own_numbers_are_compared(coco, run_cli):
    records = perfect(coco)
    (coco.parent / "best.json").write_text(json.dumps(records))
    (coco.parent / "worse.json").write_text(json.dumps(records[1:]))
    words = ("coco-boundary", "--data", coco, "--results", "worse.json", "--json", "s.json")
    done = run_cli("benchmark", *words, "--compare", "best.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["compare_numbers"]["boundary"]["AP"] == 1 > report["boundary"]["AP"]
    assert f"-{100 - 100 * report['boundary']['AP']:.1f}" in done.out
