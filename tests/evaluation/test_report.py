import json
from collections.abc import Sequence

import pytest
from rich.console import Group, RenderableType

from maskrcnn.evaluation.accuracy import Threshold
from maskrcnn.evaluation.report import Report, score_results
from maskrcnn.evaluation.results import Results
from maskrcnn.evaluation.sections import Section, difference_tables, section_tables, written
from tests.builders.scoring import coco, parsed, shown

POLYGON = [[0, 0, 40, 0, 40, 40, 0, 40]]
OBJECT = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "segmentation": POLYGON}
BOXES = Section("bbox", "boxes", "rule of boxes", {"AP": 0.5, "AR": None}, {"cat": {"AP": 0.25}, "dog": {"AP": -1.0}})
MASKS = Section("segm", "masks", "rule of masks", {"AP": -1.0}, {"cat": {"AP": 1.0}, "owl": {"AP": 0.0}})
CELLS = Section("cells", "cells", "rule of cells", {"hausdorff": 12.5}, lengths=frozenset({"hausdorff"}))


def data_set(classes: int = 2) -> dict:
    return coco(OBJECT, size=(60, 60), classes={n: f"class {n}" for n in range(1, classes + 1)})


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
    found = report(iou_types=["bbox"])
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
    assert "1 image, 1 object, 1 prediction" in shown
    rows = [line.replace(" ", "").split("│") for line in shown.splitlines()]
    assert ["", "AP50", "100.0", "100.0", ""] in rows
    assert ["", "APl", "-", "-", ""] in rows
    assert ["", "class2", *"------", ""] in rows
    assert "accuracy" in shown


@pytest.mark.parametrize(("classes", "shown"), [(1, False), (2, True), (100, True), (101, False)])
def test_classes_are_listed_where_they_say_something_and_fit(classes, shown):
    assert ("By class" in str(report(classes))) == shown


def cells(tables: Sequence[RenderableType]) -> list[list[str]]:
    return [line.replace(" ", "").strip("│").split("│") for line in shown(Group(*tables), width=100).splitlines()]


def rows(*sections: Section) -> list[list[str]]:
    return cells(section_tables(sections))


def test_sections_with_the_same_numbers_stand_side_by_side():
    table = rows(BOXES, MASKS)
    assert ["AP", "50.0", "-"] in table
    assert ["AR", "-", "-"] in table
    assert [r for r in table if r[0] in "catdogowl"] == [
        ["cat", "25.0", "100.0"],
        ["dog", "-", "-"],
        ["owl", "-", "0.0"],
    ]


def test_sections_with_other_numbers_stand_below_one_another():
    table = rows(MASKS, CELLS)
    assert ["AP", "-"] in table
    assert ["hausdorff", "12.50px"] in table


def test_each_rule_is_named():
    assert {("boxes:ruleofboxes.",), ("cells:ruleofcells.",)} <= set(map(tuple, rows(BOXES, CELLS)))


def test_rows_are_called_what_they_are():
    domains = Section(
        "bbox", "boxes", "rule", {"AP": 0.5}, {"sketch": {"AP": 1.0}, "tattoo": {"AP": 0.0}}, row="domain"
    )
    assert ["Bydomain"] in rows(domains)
    assert any(row[0].strip("┃").startswith("domain┃AP") for row in rows(domains))
    assert ["Byclass"] in rows(BOXES)


def test_nothing_to_find_is_a_dash_and_nothing_found_is_zero():
    assert [written(BOXES, "AP", value) for value in (None, -1.0, 0.0)] == ["-", "-", "0.0"]


def test_two_runs_stand_side_by_side_where_both_have_the_rule():
    better = Section("bbox", "boxes", "rule of boxes", {"AP": 0.75, "AR": 0.5})
    (table,) = difference_tables([BOXES, MASKS], [better], ("old", "new"))
    assert ["AP", "50.0", "75.0", "+25.0"] in cells([table])
    assert ["AR", "-", "50.0", "-"] in cells([table])
