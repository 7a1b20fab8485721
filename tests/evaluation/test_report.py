import json

import pytest

from maskrcnn.evaluation.accuracy import Threshold
from maskrcnn.evaluation.report import Report, score_results
from maskrcnn.evaluation.results import Results
from maskrcnn.evaluation.sections import Section
from tests.builders.scoring import parsed

POLYGON = [[0, 0, 40, 0, 40, 40, 0, 40]]
OBJECT = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "segmentation": POLYGON}


def data_set(classes: int = 2) -> dict:
    return {
        "images": [{"id": 1, "width": 60, "height": 60}],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, classes + 1)],
        "annotations": [OBJECT],
    }


def report(classes: int = 2, **more) -> Report:
    settings = {"max_detections": 500, "threshold": Threshold(0.5, "given")} | more
    return score_results(*parsed(data_set(classes), [OBJECT | {"score": 0.9}]), **settings)


def test_numbers_are_fractions_found_by_name():
    found = report()
    assert list(found["segm"])[:9] == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR500"]
    assert found["bbox"]["AP"] == found["segm"]["AP50"] == pytest.approx(1)
    assert {name: numbers["AP"] for name, numbers in found.per_class("segm").items()} == {"class 1": 1, "class 2": -1}
    assert list(found["accuracy"]) == ["0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9"]
    assert set(found["accuracy"].values()) == {1}
    with pytest.raises(KeyError, match="keypoints.* bbox, segm, accuracy"):
        found["keypoints"]


def test_the_file_holds_numbers_and_facts(tmp_path):
    report().adding([Section("more", "more", "a rule", {"X": None})], weights="w.pt").write(tmp_path / "new" / "s.json")
    found = json.loads((tmp_path / "new" / "s.json").read_text())
    assert found["segm"]["per_class"]["class 1"]["AP"] == pytest.approx(1)
    assert (found["score_threshold"], found["score_threshold_from"], found["max_detections"]) == (0.5, "given", 500)
    assert (found["images"], found["objects"], found["predictions"]) == (1, 1, 1)
    assert {"torch", "faster-coco-eval"} <= found["versions"].keys()
    assert "500 detections" in found["rules"]["bbox"]
    assert (found["more"], found["weights"]) == ({"X": None}, "w.pt")


def test_boxes_alone_have_no_accuracy():
    found = report(kinds=["bbox"])
    assert [section.name for section in found.sections] == ["bbox"]
    assert "masks" not in str(found)


def test_without_a_threshold_nothing_is_counted_from_one():
    assert "accuracy" not in report(threshold=None)


def test_what_there_is_in_the_results_is_scored():
    truth, results = parsed(data_set(), [{**OBJECT, "score": 0.9, "segmentation": None}])
    assert [section.name for section in score_results(truth, results).sections] == ["bbox"]
    assert [section.name for section in score_results(truth, Results(())).sections] == ["bbox", "segm"]


def test_the_tables_show_percent_and_a_dash_where_there_is_nothing():
    shown = str(report())
    assert "1 images, 1 objects, 1 predictions" in shown
    rows = [line.replace(" ", "").split("│") for line in shown.splitlines()]
    assert ["", "AP50", "100.0", "100.0", ""] in rows
    assert ["", "APl", "-", "-", ""] in rows
    assert ["", "class2", *"------", ""] in rows
    assert "accuracy" in shown


@pytest.mark.parametrize(("classes", "shown"), [(1, False), (2, True), (100, True), (101, False)])
def test_classes_are_listed_where_they_say_something_and_fit(classes, shown):
    assert ("By class" in str(report(classes))) == shown
