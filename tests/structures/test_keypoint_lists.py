import pytest

from maskrcnn.structures.classes import keypoint_schema_of
from maskrcnn.structures.keypoint_lists import with_listed_keypoints

POINT = [4, 5, 2]


def content(*annotations, **category):
    numbered = [{"category_id": 1, **found} for found in annotations]
    return {"categories": [{"id": 1, "name": "owl", **category}, {"id": 2, "name": "mouse"}], "annotations": numbered}


@pytest.mark.parametrize(
    ("listed", "annotations", "names", "lengths"),
    [
        pytest.param(None, [POINT * 3], ["1", "2", "3"], [9], id="no names"),
        pytest.param([], [POINT, POINT * 2], ["1", "2"], [3 + 3, 6], id="no names, some longer"),
        pytest.param(["beak"], [POINT * 3] * 2, ["beak", "2", "3"], [9, 9], id="fewer names than points"),
        pytest.param(["a", "b"], [POINT, POINT * 2, []], ["a", "b"], [6, 6, 0], id="fewer points than names"),
    ],
)
def test_every_keypoint_has_a_name_and_every_object_all_keypoints(listed, annotations, names, lengths):
    given = content(
        *({"keypoints": points} for points in annotations), **({} if listed is None else {"keypoints": listed})
    )
    found = with_listed_keypoints(given)
    assert found["categories"][0]["keypoints"] == names
    assert "keypoints" not in found["categories"][1]
    assert [len(one["keypoints"]) for one in found["annotations"]] == lengths
    assert all(one["keypoints"][: len(own)] == own for one, own in zip(found["annotations"], annotations, strict=True))
    assert not any(
        sum(one["keypoints"][len(own) :]) for one, own in zip(found["annotations"], annotations, strict=True)
    )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(content({"keypoints": POINT * 2}, keypoints=["a", "b"]), id="complete"),
        pytest.param(content({"keypoints": [0, 0, 0]}), id="nothing annotated"),
        pytest.param(content({"keypoints": [1, 2]}, keypoints=["a"]), id="no points"),
        pytest.param(content({"keypoints": POINT * 2}, {"keypoints": POINT}, keypoints=["a"]), id="one is longer"),
        pytest.param(content({"keypoints": "text"}, {"category_id": []}), id="no list"),
    ],
)
def test_what_needs_no_names_or_cannot_be_right_stays_as_it_is(given):
    assert with_listed_keypoints(given) is given


def test_feet_faces_and_hands_follow_the_body():
    parts = {
        "foot_kpts": POINT,
        "face_kpts": [0, 0, 0] * 2,
        "lefthand_kpts": [7, 8, 1] * 2,
        "righthand_kpts": [0, 0, 0],
    }
    body_only = {"keypoints": POINT * 2, "num_keypoints": 2}
    found = with_listed_keypoints(content({**body_only, **parts}, body_only, keypoints=["head", "hip"]))
    schema = keypoint_schema_of(found["categories"][0])
    assert schema.names == ("head", "hip", "foot_1", "left_hand_1", "left_hand_2")
    assert found["annotations"][0]["keypoints"] == [*POINT * 3, *[7, 8, 1] * 2]
    assert found["annotations"][1]["keypoints"] == [*POINT * 2, *[0] * 9]
    assert [one["num_keypoints"] for one in found["annotations"]] == [5, 2]
