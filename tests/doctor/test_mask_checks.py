import pytest

from maskrcnn.doctor.mask_checks import find_in_keypoints, find_in_masks
from tests.builders.made_set import MadeSet, named, names


def test_sound_masks_have_no_findings(tmp_path):
    assert find_in_masks(MadeSet(tmp_path).table()) == []


def test_a_set_without_objects_has_no_findings(tmp_path):
    made = MadeSet(tmp_path)
    made.annotations = []
    assert find_in_masks(made.table()) == []


def test_objects_without_a_mask_are_told(tmp_path):
    made = MadeSet(tmp_path, 4)
    made.annotations[0]["segmentation"] = []
    found = named(find_in_masks(made.table()), "missing-masks")
    assert found.what == "train: 1 of 4 (25 %) objects have a box but no mask; the box stands in for it."
    assert found.settings == ()


def test_where_no_object_has_a_mask_boxes_alone_are_trained(tmp_path):
    made = MadeSet(tmp_path, 4)
    for one in made.annotations:
        del one["segmentation"]
    (found,) = find_in_masks(made.table())
    assert found.name == "missing-masks"
    assert found.settings == ("mask_head=null",)


def test_a_mask_without_a_pixel_is_told(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(2, [10, 10, 5, 5], polygon=[[10, 10, 10.1, 10.1, 10.2, 10]])
    found = named(find_in_masks(made.table()), "empty-masks")
    assert found.what.startswith("train: 1 of 4 (25 %) masks have no pixel")
    assert found.examples[0].words == "train_2.png, annotation 4 (cat)"


def test_masks_that_are_boxes_are_told(tmp_path):
    made = MadeSet(tmp_path, 4)
    for one in made.annotations[:3]:
        one["segmentation"] = [[20, 16, 44, 16, 44, 36, 20, 36]]
    made.add_object(1, [1, 1, 3, 3], polygon=[[1, 1, 4, 1, 4, 4, 1, 4]])  # too small to judge
    found = named(find_in_masks(made.table()), "rectangular-masks")
    assert found.severity == "warning"
    assert found.what == "train: 3 of 4 (75 %) masks of 5 px a side and more are upright rectangles."
    made.annotations[0]["segmentation"] = made.annotations[3]["segmentation"]
    made.annotations[1]["segmentation"] = made.annotations[3]["segmentation"]
    assert named(find_in_masks(made.table()), "rectangular-masks").severity == "note"


def test_a_box_unlike_its_mask_is_told_with_the_distance(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["bbox"] = [28, 16, 24, 20]
    found = named(find_in_masks(made.table()), "boxes-unlike-masks")
    assert found.severity == "warning"
    assert found.what.startswith("train: 1 of 3 (33 %) boxes differ from the box around their mask")
    assert found.examples[0].words == "train_2.png, annotation 2 (dog): 8 px apart"


def test_rounding_and_boxes_cut_at_the_border_do_not_disagree(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["bbox"] = [18.5, 16, 26, 20]
    made.add_object(1, [80, 30, 36, 20])  # its mask ends at the border, too
    assert find_in_masks(made.table()) == []


def test_a_file_without_boxes_has_none_that_disagree(tmp_path):
    made = MadeSet(tmp_path, 3)
    for one in made.annotations:
        del one["bbox"]
    assert find_in_masks(made.table()) == []


def test_polygons_that_cross_themselves_are_told(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[2]["segmentation"] = [[20, 16, 44, 36, 44, 16, 20, 36]]
    found = named(find_in_masks(made.table()), "crossing-polygons")
    assert found.severity == "warning"
    assert found.what == "train: 1 of 3 (33 %) polygons cross themselves."


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
    assert found.settings == ("augment.horizontal_flip=0",)
