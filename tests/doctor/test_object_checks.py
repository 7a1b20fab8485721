import pytest

from maskrcnn.doctor.object_checks import SAME, find_in_boxes, find_in_keypoints, find_in_masks, same_objects
from maskrcnn.doctor.objects import overlapping_pairs
from tests.builders.made_set import MadeSet, named, names

EARS = ["left_ear", "right_ear"]
POINTS = [22, 20, 2, 40, 30, 1]


def in_boxes(made):
    table = made.table()
    return find_in_boxes(table, overlapping_pairs(table, 0.5))


def in_masks(made):
    return find_in_masks(made.table())


def in_keypoints(made):
    return find_in_keypoints(made.table())


def with_keypoints(folder, images=3, schema=EARS):
    made = MadeSet(folder, images)
    for category in made.categories:
        category["keypoints"] = schema
    for one in made.annotations:
        one["keypoints"] = POINTS
    return made


@pytest.mark.parametrize("find", [in_boxes, in_masks, in_keypoints])
def test_good_objects_and_none_have_no_findings(tmp_path, find):
    made = MadeSet(tmp_path)
    assert find(made) == find(with_keypoints(tmp_path)) == []
    made.annotations = []
    assert find(made) == []


BOW_TIE, LINE = [[20, 16, 44, 36, 44, 16, 20, 36]], [[10, 10, 10.1, 10.1, 10.2, 10]]


@pytest.mark.parametrize(
    ("find", "name", "count", "example", "added"),
    [  # added to three good objects: image, box and more; half a pixel outside is rounding
        (
            in_boxes,
            "boxes-outside",
            1,
            "2.png, annotation 4 (cat): 20.0 px",
            [(2, [80, 30, 36, 20]), (2, [40, 50, 12, 14.5])],
        ),
        (in_boxes, "cut-objects", 2, "1.png, annotation 4 (cat)", [(1, [0, 10, 8, 9]), (2, [88, 10, 8, 9])]),
        (in_boxes, "duplicate-objects", 1, "2.png, annotation 4 (dog): as 2", [(2, [20.2, 16, 24, 20], 2)]),
        (in_boxes, "two-classes", 1, "2.png, annotation 4 (cat): as 2 (dog)", [(2, [20, 16, 24, 20], 1)]),
        (
            in_boxes,
            "long-boxes",
            2,
            "1.png, annotation 5 (cat): 80.0 x 2.0 px",
            [(1, [4, 4, 2, 30]), (1, [4, 40, 80, 2])],
        ),
        (in_masks, "empty-masks", 1, "2.png, annotation 4 (cat)", [(2, [10, 10, 5, 5], 1, LINE)]),
        (in_masks, "crossing-polygons", 1, "3.png, annotation 4 (cat)", [(3, [20, 16, 24, 20], 1, BOW_TIE)]),
    ],
)
def test_objects_that_are_not_as_they_should_be_are_found(tmp_path, find, name, count, example, added):
    made = MadeSet(tmp_path, 3)
    for image, box, *more in added:
        made.add_object(image, box, **dict(zip(("label", "polygon"), more)))
    found = named(find(made), name)
    assert (found.count, found.what.startswith(f"train: {count} of {3 + len(added)} (")) == (count, True)
    assert found.examples[0].words.startswith(f"train_{example}")
    assert found.severity == ("note" if name in ("cut-objects", "long-boxes") else "warning")


def test_few_boxes_outside_are_a_note(tmp_path):
    made = MadeSet(tmp_path, 4)
    for number in range(200):
        made.add_object(1, [number % 70, number // 4, 8, 8])
    made.add_object(2, [80, 30, 36, 20])
    assert named(in_boxes(made), "boxes-outside").severity == "note"


def test_few_objects_cut_by_the_border_are_usual(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.add_object(1, [0, 10, 8, 9])
    assert in_boxes(made) == []


def test_objects_in_one_box_with_masks_of_other_sizes_are_not_the_same(tmp_path):
    made = MadeSet(tmp_path, 1)
    made.add_object(1, [20, 16, 24, 20], polygon=[[20, 16, 44, 36, 20, 36]])
    table = made.table()
    assert same_objects(table, overlapping_pairs(table, SAME)).tolist() == [False]
    assert in_boxes(made) == []


@pytest.mark.parametrize(("box", "count"), [([0, 0, 96, 63.5], 1), ([0, 0, 96, 50], 0)])
def test_boxes_as_large_as_the_image_are_noted(tmp_path, box, count):
    made = MadeSet(tmp_path, 9)
    made.add_object(1, box)
    assert [one.count for one in in_boxes(made) if one.name == "whole-image-boxes"] == [1] * count


def test_where_no_object_has_a_mask_boxes_alone_are_trained(tmp_path):
    made = MadeSet(tmp_path, 4)
    made.annotations[0]["segmentation"] = []
    found = named(in_masks(made), "missing-masks")
    assert (found.count, found.settings) == (1, ())
    for one in made.annotations:
        one["segmentation"] = []
    (found,) = in_masks(made)
    assert (found.name, found.settings) == ("missing-masks", ("mask_head=null",))


def test_masks_that_are_boxes_are_found(tmp_path):
    made = MadeSet(tmp_path, 4)
    for one in made.annotations[:3]:
        one["segmentation"] = [[20, 16, 44, 16, 44, 36, 20, 36]]
    made.add_object(1, [1, 1, 3, 3], polygon=[[1, 1, 4, 1, 4, 4, 1, 4]])  # too small to count
    found = named(in_masks(made), "rectangular-masks")
    assert (found.severity, found.count) == ("warning", 3)
    assert found.what.startswith("train: 3 of 4 (75 %) masks of 5 px")
    for one in made.annotations[:2]:
        one["segmentation"] = made.annotations[3]["segmentation"]
    assert named(in_masks(made), "rectangular-masks").severity == "note"


def test_a_box_unlike_its_mask_is_found_with_the_distance(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["bbox"] = [28, 16, 24, 20]
    found = named(in_masks(made), "boxes-unlike-masks")
    assert (found.severity, found.count) == ("warning", 1)
    assert found.examples[0].words == "train_2.png, annotation 2 (dog): 8 px apart"


def test_rounding_and_boxes_cut_at_the_border_and_missing_ones_do_not_disagree(tmp_path):
    made = MadeSet(tmp_path, 3)
    made.annotations[1]["bbox"] = [18.5, 16, 26, 20]
    made.add_object(1, [80, 30, 36, 20])  # its mask ends at the border, too
    assert in_masks(made) == []
    for one in made.annotations:
        del one["bbox"]
    assert in_masks(made) == []


def test_a_keypoint_outside_its_box_is_found_with_the_distance(tmp_path):
    made = with_keypoints(tmp_path)
    made.annotations[1]["keypoints"] = [22, 20, 2, 90, 60, 0]  # one that is not annotated is nowhere
    assert in_keypoints(made) == []
    made.annotations[1]["keypoints"] = [22, 20, 2, 60, 30, 2]
    found = named(in_keypoints(made), "keypoints-outside")
    assert (found.severity, found.count) == ("warning", 1)
    assert found.examples[0].words == "train_2.png, annotation 2 (dog): 16 px outside"  # 60.5 - 44, rounded to even


def test_a_keypoint_that_no_object_has_is_named(tmp_path):
    made = with_keypoints(tmp_path)
    for one in made.annotations:
        one["keypoints"] = [22, 20, 2, 0, 0, 0]
    found = named(in_keypoints(made), "unused-keypoints")
    assert (found.count, found.what.rpartition(": ")[2]) == (1, "right_ear.")


def test_objects_without_keypoints_are_noted_and_none_with_any_a_warning(tmp_path):
    made = with_keypoints(tmp_path)
    del made.annotations[0]["keypoints"]
    assert named(in_keypoints(made), "without-keypoints").severity == "note"
    for one in made.annotations[1:]:
        del one["keypoints"]
    findings = in_keypoints(made)
    assert names(findings) == ["without-keypoints"]
    assert findings[0].severity == "warning"


def test_a_side_without_a_partner_is_found(tmp_path):
    found = named(in_keypoints(with_keypoints(tmp_path, schema=["left_ear", "nose"])), "unpaired-keypoints")
    assert (found.count, found.what.rpartition(": ")[2]) == (1, "left_ear.")
    assert found.settings == ("augment.horizontal_flip=0",)
