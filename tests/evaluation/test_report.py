import json
from io import StringIO

import pytest
from rich.console import Console

from maskrcnn.evaluation.report import evaluation_report, report_tables, write_report

OUTLINE = [[0, 0, 40, 0, 40, 40, 0, 40]]
OBJECT = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "segmentation": OUTLINE}


def data_set(classes: int = 2) -> dict:
    return {
        "images": [{"id": 1, "width": 60, "height": 60}],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, classes + 1)],
        "annotations": [OBJECT],
    }


def report(classes: int = 2, **more) -> dict:
    settings = {"max_detections": 500, "score_threshold": 0.5} | more
    return evaluation_report(data_set(classes), [OBJECT | {"score": 0.9}], **settings)


def text(found: dict) -> str:
    console = Console(file=StringIO(), width=80)
    console.print(report_tables(found))
    return console.file.getvalue()


def test_the_file_holds_fractions_of_boxes_masks_and_accuracy(tmp_path):
    write_report(tmp_path / "new" / "scores.json", report())
    found = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert list(found["segm"])[:9] == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR500"]
    assert found["bbox"]["AP"] == found["segm"]["AP50"] == pytest.approx(1)
    assert {name: numbers["AP"] for name, numbers in found["segm"]["per_class"].items()} == {
        "class 1": 1,
        "class 2": -1,
    }
    assert list(found["accuracy"]) == ["0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9"]
    assert set(found["accuracy"].values()) == {1}
    assert (found["accuracy_score_threshold"], found["max_detections"], found["pictures"]) == (0.5, 500, 1)
    assert {"torch", "faster-coco-eval"} <= found["versions"].keys()
    assert "500 detections" in found["protocol"]


def test_boxes_alone_have_no_accuracy():
    found = report(kinds=["bbox"])
    assert "accuracy" not in found
    assert "segm" not in found
    assert "masks" not in text(found)


def test_the_tables_show_percent_and_a_dash_where_there_is_nothing():
    shown = text(report())
    assert "1 pictures, 1 objects, 1 predictions" in shown
    rows = [line.replace(" ", "").split("│") for line in shown.splitlines()]
    assert ["", "AP50", "100.0", "100.0", ""] in rows
    assert ["", "APl", "-", "-", ""] in rows
    assert ["", "class2", *"------", ""] in rows
    assert "Accuracy" in shown


@pytest.mark.parametrize(("classes", "shown"), [(1, False), (2, True), (100, True), (101, False)])
def test_classes_are_listed_where_they_say_something_and_fit(classes, shown):
    assert ("By class" in text(report(classes))) == shown


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_report(tmp_path / "scores.json", {"AP": 0.5})
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "scores.json", {"AP": float("nan")})
    assert json.loads((tmp_path / "scores.json").read_text()) == {"AP": 0.5}
