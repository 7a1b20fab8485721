import pytest

from maskrcnn.data.readers.yolo import KeypointShape, label_lines, label_object

NAMES = ["cat", "dog"]
SIZE = (40, 100)


def test_lines_with_something_in_them_are_numbered_from_1(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff0 1\n\n  \n1 2\r\n")
    assert list(label_lines(tmp_path / "a.txt")) == [(1, "0 1"), (4, "1 2")]
    assert list(label_lines(tmp_path / "gone.txt")) == []


def test_a_box_is_given_by_its_middle():
    assert label_object("1 0.5 0.5 0.2 0.5", NAMES, SIZE, None) == ("dog", {"bbox": [40, 10, 20, 20]})


def test_a_polygon_has_x_and_y_in_turn():
    found = label_object("0.0 0 0 0.5 0 0.5 1", NAMES, SIZE, None)
    assert found == ("cat", {"segmentation": [[0, 0, 50, 0, 50, 40]]})


def test_what_division_left_over_is_rounded_away():
    x = 33.37 / 427
    _, found = label_object(f"0 {x!r} 0 0.5 0 0.5 1", NAMES, (40, 427), None)
    assert found["segmentation"][0][0] == 33.37


@pytest.mark.parametrize(("numbers", "seen"), [("0.1 0.5 1", 1), ("0.1 0.5 2.0", 2), ("-9 9 0", 0)])
def test_a_keypoint_that_is_not_annotated_has_no_place(numbers, seen):
    _, found = label_object(f"0 0.5 0.5 0.2 0.5 {numbers}", NAMES, SIZE, KeypointShape(1, 3))
    assert found["keypoints"] == ([10, 20, seen] if seen else [0, 0, 0])
    assert found["num_keypoints"] == bool(seen)


def test_of_two_numbers_a_negative_one_says_that_a_keypoint_is_not_annotated():
    _, found = label_object("0 0.5 0.5 0.2 0.5 0.1 0.5 -1 -1", NAMES, SIZE, KeypointShape(2, 2))
    assert found["keypoints"] == [10, 20, 2, 0, 0, 0]


@pytest.mark.parametrize("line", ["2 0 0 1 1", "0 0 0 1", "0 0 0 1 2", "0 x 0 1 1", "inf 0 0 1 1"])
def test_a_line_that_cannot_be_used_says_why(line):
    with pytest.raises(ValueError, match=r"class|numbers|outside|not a number"):
        label_object(line, NAMES, SIZE, None)
