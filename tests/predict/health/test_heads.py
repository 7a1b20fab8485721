from maskrcnn.config import ModelSettings
from maskrcnn.data.health.splits import read_split
from maskrcnn.data.shapes import write_shape_segments, write_shapes
from maskrcnn.predict.health.heads import find_in_heads
from tests.data.health.made import MadeSet


def test_objects_and_masks_need_no_other_head(tmp_path):
    assert list(find_in_heads([MadeSet(tmp_path).split()], ModelSettings())) == []
    assert list(find_in_heads([], ModelSettings())) == []


def test_keypoints_want_their_head(tmp_path):
    made = MadeSet(tmp_path)
    for category in made.categories:
        category["keypoints"] = ["nose", "tail"]
    (found,) = find_in_heads([made.split()], ModelSettings())
    assert found.what == "train: objects have 2 keypoints each, but the network has no head for them."
    assert list(find_in_heads([made.split()], ModelSettings.model_validate({"keypoint_head": {}}))) == []


def test_stuff_wants_its_head(tmp_path):
    write_shapes(tmp_path, train=2, val=1, size=48, seed=0)
    write_shape_segments(tmp_path, train=2, val=1, size=48, seed=0)
    split, _ = read_split(tmp_path / "panoptic_train.json", "train", images=tmp_path / "images")
    (found,) = find_in_heads([split], ModelSettings())
    assert found.name == "stuff-not-learnt"
    assert list(find_in_heads([split], ModelSettings.model_validate({"semantic_head": {"classes": 2}}))) == []
