import pytest

from maskrcnn.data.health.keypoint_findings import find_in_keypoints
from tests.data.health.made import MadeSet, named, names

SOUND = [22, 20, 2, 40, 30, 1]


@pytest.fixture
def made(tmp_path):
    made = MadeSet(tmp_path, 3)
    for category in made.categories:
        category["keypoints"] = ["left_ear", "right_ear"]
    for one in made.annotations:
        one["keypoints"] = SOUND
    return made


def test_sound_keypoints_have_no_findings(made):
    assert find_in_keypoints(made.table()) == []


def test_data_without_keypoints_have_no_findings(tmp_path):
    assert find_in_keypoints(MadeSet(tmp_path).table()) == []


def test_no_objects_have_no_findings(made):
    made.annotations = []
    assert find_in_keypoints(made.table()) == []


def test_a_keypoint_outside_its_box_is_told_with_the_distance(made):
    made.annotations[1]["keypoints"] = [22, 20, 2, 60, 30, 2]
    found = named(find_in_keypoints(made.table()), "keypoints-outside")
    assert found.severity == "warning"
    assert found.what.startswith("train: 1 of 3 (33 %) objects have a keypoint more than 10% of the box's longer side")
    assert found.examples[0].words == "train_2.png, annotation 2 (dog): 16 px outside"  # 60.5 - 44, rounded to even


def test_keypoints_that_are_not_annotated_are_nowhere(made):
    made.annotations[1]["keypoints"] = [22, 20, 2, 90, 60, 0]
    assert find_in_keypoints(made.table()) == []


def test_a_keypoint_that_no_object_has_is_named(made):
    for one in made.annotations:
        one["keypoints"] = [22, 20, 2, 0, 0, 0]
    found = named(find_in_keypoints(made.table()), "unused-keypoints")
    assert found.what == "train: 1 of 2 (50 %) keypoints are annotated on no object: right_ear."


def test_objects_without_keypoints_are_noted_and_none_with_any_a_warning(made):
    del made.annotations[0]["keypoints"]
    assert named(find_in_keypoints(made.table()), "without-keypoints").severity == "note"
    for one in made.annotations[1:]:
        del one["keypoints"]
    findings = find_in_keypoints(made.table())
    assert names(findings) == ["without-keypoints"]
    assert findings[0].severity == "warning"


def test_a_side_without_a_partner_is_told(made):
    for category in made.categories:
        category["keypoints"] = ["left_ear", "nose"]
    found = named(find_in_keypoints(made.table()), "unpaired-keypoints")
    assert found.what == "train: 1 keypoint of a left or right side without a partner: left_ear."
    assert found.settings == ("augment.flip=0",)
