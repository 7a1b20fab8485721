import pytest

from maskrcnn.doctor.box_checks import SAME, find_in_boxes, same_objects
from maskrcnn.doctor.objects import overlapping_pairs
from tests.builders.made_set import MadeSet, named, names


def findings_of(made):
    table = made.table()
    return find_in_boxes(table, overlapping_pairs(table, 0.5))


def test_sound_boxes_have_no_findings(tmp_path):
    assert findings_of(MadeSet(tmp_path)) == []


def test_a_set_without_objects_has_no_findings(tmp_path):
    made = MadeSet(tmp_path)
    made.annotations = []
    assert findings_of(made) == []


def test_a_box_outside_the_image_is_told_with_its_reach(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(2, [80, 30, 36, 20])
    made.add_object(2, [40, 50, 12, 14.5])  # half a pixel is rounding
    found = named(findings_of(made), "boxes-outside")
    assert found.severity == "warning"
    assert found.what.startswith("train: 1 of 5 (20 %) boxes reach more than 1 px over the border")
    assert found.examples[0].words == "train_2.png, annotation 4 (cat): 20.0 px outside"


def test_few_boxes_outside_are_a_note(tmp_path):
    made = MadeSet(tmp_path, 4)
    for number in range(200):
        made.add_object(1, [number % 70, number // 4, 8, 8])
    made.add_object(2, [80, 30, 36, 20])
    assert named(findings_of(made), "boxes-outside").severity == "note"


def test_many_objects_cut_by_the_border_are_noted(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(1, [0, 10, 8, 9])
    assert names(findings_of(made)) == []
    made.add_object(2, [88, 10, 8, 9])
    assert named(findings_of(made), "cut-objects").what.startswith("train: 2 of 5 (40 %) objects touch the border")


def test_an_object_that_is_annotated_twice_is_told(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(2, [20.2, 16, 24, 20], label=2)
    found = named(findings_of(made), "duplicate-objects")
    assert found.severity == "warning"
    assert found.what.startswith("train: 1 of 4 (25 %) objects are annotated twice")
    assert found.examples[0].words == "train_2.png, annotation 4 (dog): as 2"


def test_one_thing_of_two_classes_is_told(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(2, [20, 16, 24, 20], label=1)
    findings = findings_of(made)
    assert "duplicate-objects" not in names(findings)
    found = named(findings, "two-classes")
    assert found.what.startswith("train: 1 of 4 (25 %) objects have the box of an object of another class")
    assert found.examples[0].words == "train_2.png, annotation 4 (cat): as 2 (dog)"


def test_objects_in_one_box_with_masks_of_other_sizes_are_not_the_same(tmp_path):
    made = MadeSet(tmp_path, 1)
    made.add_object(1, [20, 16, 24, 20], polygon=[[20, 16, 44, 36, 20, 36]])
    table = made.table()
    pairs = overlapping_pairs(table, SAME)
    assert len(pairs.first) == 1
    assert same_objects(table, pairs).tolist() == [False]
    assert findings_of(made) == []


def test_long_boxes_are_noted_the_longest_first(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(1, [4, 4, 2, 30])
    made.add_object(1, [4, 40, 80, 2])
    found = named(findings_of(made), "long-boxes")
    assert found.what == "train: 2 of 5 (40 %) boxes are more than 10 times as long as wide."
    assert [example.words.partition(": ")[2] for example in found.examples] == ["80.0 x 2.0 px", "2.0 x 30.0 px"]


@pytest.mark.parametrize(("box", "count"), [([0, 0, 96, 63.5], 1), ([0, 0, 96, 50], 0)])
def test_boxes_as_large_as_the_image_are_noted(tmp_path, box, count):
    made = MadeSet(tmp_path, 9)
    made.add_object(1, box)
    assert [one.count for one in findings_of(made) if one.name == "whole-image-boxes"] == [1] * count
