import json
from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.readers.coco_keypoints import read_keypoints, read_skeleton
from maskrcnn.errors import DataError
from maskrcnn.structures.skeletons import COCO_PERSON, skeleton_of

OWL = {"id": 1, "name": "owl", "keypoints": ["left_eye", "right_eye", "beak"], "skeleton": [[1, 2], [2, 3]]}
SKELETON = skeleton_of(OWL)


def test_a_keypoint_in_the_first_pixel_is_in_its_middle_and_one_that_is_not_annotated_is_nowhere():
    points = read_keypoints({"keypoints": [0, 9, 2, 3, 4, 0, 7.5, 1, 1]}, SKELETON)
    assert points.tolist() == [[0.5, 9.5, 2], [0, 0, 0], [8, 1.5, 1]]


@pytest.mark.parametrize("annotation", [{}, {"keypoints": None}, {"keypoints": []}])
def test_an_object_may_have_no_keypoints(annotation):
    assert not read_keypoints(annotation, SKELETON).any()


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([1, 2, 2], r"`keypoints` has 3 numbers, but 3 keypoints need x, y and visibility each, 9"),
        ("nose", r"`keypoints` has no numbers, but"),
        ([1, 2, "a"] * 3, "not a number"),
        ([1, 2, float("nan")] * 3, "finite x and y, and a visibility of 0, 1 or 2"),
        ([1, 2, 3] * 3, "finite x and y, and a visibility of 0, 1 or 2"),
    ],
)
def test_keypoints_that_break_a_rule_are_described(keypoints, message):
    with pytest.raises(ValueError, match=message):
        read_keypoints({"keypoints": keypoints}, SKELETON)


def test_categories_without_keypoints_may_be_among_others():
    assert read_skeleton(Path("a.json"), [{"id": 2, "name": "mouse"}, OWL]) == SKELETON
    assert read_skeleton(Path("a.json"), [{"id": 2, "name": "mouse"}]) is None


def test_a_file_has_one_set_of_keypoints():
    person = {"id": 2, "name": "person"} | COCO_PERSON.described()
    with pytest.raises(DataError, match=r"a.json: the categories owl, person have different keypoints"):
        read_skeleton(Path("a.json"), [OWL, person])
    with pytest.raises(DataError, match=r"a.json: category 'owl': sigmas are \[1\.0\], but there must be one per"):
        read_skeleton(Path("a.json"), [OWL | {"sigmas": [1.0]}])


def read(folder: Path, annotations: list[dict], categories: list[dict]):
    Image.new("RGB", (60, 50)).save(folder / "owl.jpg")
    contents = {"images": [{"id": 1, "file_name": "owl.jpg"}], "annotations": annotations, "categories": categories}
    (folder / "owls.json").write_text(json.dumps(contents))
    return read_coco(folder / "owls.json", folder)


def test_objects_of_a_file_have_their_keypoints_and_its_classes_their_skeleton(tmp_path):
    found = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "keypoints": [3, 4, 2, 5, 6, 1, 0, 0, 0]}
    data = read(tmp_path, [found, {**found, "id": 2, "keypoints": []}], [OWL])
    assert data.classes.skeleton == SKELETON
    assert data.records[0].instances.keypoints.tolist() == [[[3.5, 4.5, 2], [5.5, 6.5, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
    assert read(tmp_path, [], [OWL]).records[0].instances.keypoints.shape == (0, 3, 3)
    assert read(tmp_path, [found], [{"id": 1, "name": "owl"}]).records[0].instances.keypoints is None


def test_a_wrong_annotation_is_named(tmp_path):
    found = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "keypoints": [3, 4]}
    with pytest.raises(DataError, match=r"owls.json: annotation 5 \(owl.jpg\): `keypoints` has 2 numbers, but"):
        read(tmp_path, [found], [OWL])
