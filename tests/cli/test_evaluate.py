import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.data.shapes import write_shapes
from maskrcnn.structures.classes import Classes
from maskrcnn.weights.own import load_weights, save_weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path, train=1, val=3, size=64, seed=0)
    content = json.loads((tmp_path / "val.json").read_text())
    for number, image in enumerate(content["images"]):
        image["gray"] = number > 0
    (tmp_path / "val.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def evaluate(run_cli, tiny_weights):
    def run(*words, weights=tiny_weights):
        return run_cli("evaluate", "--data", "val.json", "--images", "images", "--weights", weights, *words)

    return run


def change(folder, **fields):
    content = json.loads((folder / "val.json").read_text())
    (folder / "val.json").write_text(json.dumps({**content, **fields}))


def renamed(folder, tiny_weights, names, notes=None):
    weights = load_weights(tiny_weights)
    classes = Classes(tuple(names), tuple(range(10, 10 + len(names))))
    save_weights(folder / "other.safetensors", weights.state, weights.settings, classes, notes=notes)
    return folder / "other.safetensors"


def test_the_json_holds_what_the_official_evaluation_of_the_results_file_gives(folder, evaluate):
    done = evaluate("--json", "new/scores.json", "--results", "results.json", "box_head.detections_per_image=500")
    assert done.code == 0
    scores = json.loads((folder / "new" / "scores.json").read_text())
    assert (scores["images"], scores["max_detections"], scores["predictions"] > 300) == (3, 500, True)
    truth = COCO("val.json")
    official = COCOeval(truth, truth.loadRes("results.json"), "bbox")
    official.params.maxDets = [1, 10, 500]
    official.evaluate()
    official.accumulate()
    precision = official.eval["precision"][..., 0, -1]
    assert scores["bbox"]["AP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-9)
    assert scores["segm"]["AP"] >= 0
    assert next(iter(scores["accuracy"])) == "0.5"
    assert (scores["score_threshold"], scores["score_threshold_from"]) == (0.5, "default")
    assert "masks" in done.out


def test_conditions_restrict_the_images_of_all_scores(folder, evaluate):
    evaluate("--where", "gray=true", "--json", "scores.json")
    scores = json.loads((folder / "scores.json").read_text())
    truth = json.loads((folder / "val.json").read_text())
    gray = {image["id"] for image in truth["images"] if image["gray"]}
    assert scores["images"] == 2
    assert scores["objects"] == sum(found["image_id"] in gray for found in truth["annotations"])


def test_the_score_threshold_is_given_or_noted_or_chosen(folder, evaluate, tiny_weights):
    noted = renamed(folder, tiny_weights, load_weights(tiny_weights).classes.names, {"score_threshold": "0.15"})
    for words, expected in (
        (["--score-threshold", 0.1], (0.1, "given")),
        ([], (0.15, "weights")),
        (["--score-threshold", "best"], (0.05, "chosen")),
    ):
        evaluate("--json", "s.json", *words, weights=noted)
        scores = json.loads((folder / "s.json").read_text())
        assert (scores["score_threshold"], scores["score_threshold_from"]) == expected


def test_classes_are_matched_by_name(folder, evaluate, tiny_weights):
    names = ["star", "bird", "square", "fish", "circle"]
    done = evaluate("--results", "r.json", weights=renamed(folder, tiny_weights, names))
    assert done.code == 0
    assert "triangle, cross" in done.err
    found = {one["category_id"] for one in json.loads((folder / "r.json").read_text())}
    assert found
    assert found <= {1, 2, 4}  # by position it would be 1 to 5


def test_a_folder_without_images_gives_no_scores(folder, evaluate):
    change(folder, images=[], annotations=[])
    assert evaluate("--json", "s.json").code == 0
    scores = json.loads((folder / "s.json").read_text())
    assert scores["segm"]["AP"] == scores["accuracy"]["0.5"] == -1


def test_weights_without_a_mask_head_are_scored_by_boxes(folder, run_cli, tiny_settings):
    from maskrcnn.config import ModelSettings
    from maskrcnn.model.build import build_model

    settings = ModelSettings.model_validate({**tiny_settings.model_dump(), "mask_head": None})
    save_weights("boxes.safetensors", build_model(settings, 1).state_dict(), settings, Classes(("star",), (1,)))
    done = run_cli("evaluate", "--data", folder, "--weights", "boxes.safetensors", "--json", "s.json")
    assert done.code == 0
    assert not {"segm", "accuracy"} & json.loads((folder / "s.json").read_text()).keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--where", "rainy=true"], "'rainy'"),
        (["--json", "images"], "images: "),
        (["--worst", "val.json"], "val.json: "),
        (["--compare", "other.json"], "--compare other.json: "),
        (["--results", "val.json/r.json"], "val.json"),
        (["--score-threshold", "1.5"], "--score-threshold 1.5: "),
        (["backbone.name=resnet34"], "backbone.name=resnet34: "),
    ],
)
def test_wrong_words_give_one_message(folder, evaluate, words, message):
    done = evaluate(*words)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert message in done.err


def test_classes_that_have_nothing_in_common_are_named(folder, evaluate, tiny_weights):
    done = evaluate("--json", "s.json", weights=renamed(folder, tiny_weights, ["a", "b", "c", "d", "e"]))
    assert done.code == 1
    assert all(names in done.err for names in ("circle, square, triangle, star, cross", "a, b, c, d, e"))
    assert not (folder / "s.json").exists()
