from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.data.formats import has_split, read_dataset, recognize
from maskrcnn.data.readers.ochuman import convert_ochuman, find_ochuman, read_ochuman
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import COCO_PERSON
from tests.builders.ochuman import SQUARE, lay_out, native, person


def test_a_person_in_cocos_terms():
    coco = convert_ochuman(native([person()]), Path("o"))
    (found,) = coco["annotations"]
    assert (found["bbox"], found["area"], found["iscrowd"]) == ([2, 2, 10, 20], 200, 0)
    assert found["num_keypoints"] == 13
    points = np.reshape(found["keypoints"], (17, 3)).tolist()
    assert points[0] == [17, 34, 2]  # the nose is the file's keypoint 17, visible
    assert points[2] == [15, 30, 1]  # the right eye is its 15, hidden by others
    assert points[3] == [14, 28, 2]  # the left ear is its 14, hidden by the person itself
    assert points[1] == [16, 32, 0]  # the left eye is its 16, not annotated
    assert coco["categories"][0]["keypoints"] == list(COCO_PERSON.names)
    mask = coco_mask.decode(found["segmentation"])
    assert mask.shape == (40, 50)
    assert mask.sum() == 10 * 10 - 4 * 4
    assert not mask[5, 5]


@pytest.mark.parametrize(
    ("polygons", "area"),
    [
        ({"outer": [SQUARE], "inner": [[10, 10, 20, 10, 20, 20, 10, 20]]}, 100 - 4),  # cuts only what it shares
        ({"outer": [], "inner": []}, 0),
    ],
)
def test_a_mask_is_what_the_outer_polygons_hold_and_the_inner_ones_do_not(polygons, area):
    one = person(segms={**polygons, "height": 40, "width": 50})
    (found,) = convert_ochuman(native([one]), Path("o"))["annotations"]
    assert found["segmentation"]["size"] == [40, 50]
    assert coco_mask.area(found["segmentation"]) == area


def test_people_without_a_mask_or_keypoints_are_left_out_and_ids_have_no_gap():
    images = native([person(segms=None)], [person(), person(keypoints=None)], [], [person()])
    coco = convert_ochuman(images, Path("o"))
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == [(1, "000001.jpg"), (2, "000003.jpg")]
    assert [(one["id"], one["image_id"]) for one in coco["annotations"]] == [(1, 1), (2, 2)]


@pytest.mark.parametrize(("overlaps", "kept"), [((0.5, 0.75), [0.5]), ((0.75, 1.0), [0.75]), ((0.0, 1.0), [0.5, 0.75])])
def test_ranges_of_overlap_are_half_open(overlaps: tuple[float, float], kept: list[float]):
    people = [person(max_iou=overlap, bbox=[0, 0, 1, overlap]) for overlap in (0.5, 0.75, 1.0)]
    coco = convert_ochuman(native(people), Path("o"), overlaps=overlaps)
    assert [one["area"] for one in coco["annotations"]] == kept


def test_val_is_the_first_2500_images_with_people(monkeypatch: pytest.MonkeyPatch):
    images = native(*[[person(segms=None)] if n == 1 else [person()] for n in range(2503)])
    names = {
        subset: [image["file_name"] for image in convert_ochuman(images, Path("o"), subset)["images"]]
        for subset in ("val", "test")
    }
    assert (len(names["val"]), names["val"][1], names["val"][-1]) == (2500, "000002.jpg", "002500.jpg")
    assert names["test"] == ["002501.jpg", "002502.jpg"]


def test_the_folder_is_recognized_and_its_splits_read(tmp_path: Path):
    folder = lay_out(tmp_path, [person()], [person(), person(max_iou=0.8)])
    assert recognize(folder, "val") == recognize(folder / "ochuman.json") == "ochuman"
    assert has_split(folder / "ochuman.json", "test")
    assert not has_split(folder, "train")
    data = read_dataset(folder, "val")
    assert [len(record.instances) for record in data.records] == [1, 2]
    assert data.classes.keypoint_schema == COCO_PERSON
    assert not read_dataset(folder, "test").records
    assert len(read_dataset(folder / "ochuman.json", "train").records) == 2


def test_the_file_may_lie_in_annotations(tmp_path: Path):
    lay_out(tmp_path, [person()])
    (tmp_path / "annotations").mkdir()
    moved = (tmp_path / "ochuman.json").rename(tmp_path / "annotations" / "ochuman.json")
    assert find_ochuman(tmp_path) == find_ochuman(moved) == moved
    assert read_ochuman(tmp_path).images == tmp_path / "images"


def test_other_files_are_named(tmp_path: Path):
    (tmp_path / "ochuman.json").write_text('{"images": [')
    with pytest.raises(DataError, match="ochuman.json: .*line 1"):
        read_ochuman(tmp_path)
    (tmp_path / "ochuman.json").write_text('{"images": [], "keypoint_names": ["nose"]}')
    with pytest.raises(DataError, match="ochuman.json: .*left_eye"):
        read_ochuman(tmp_path)


@pytest.mark.parametrize("broken", [{"bbox": [1, 2, 3]}, {"keypoints": [1, 2]}, {"segms": {"outer": []}}])
def test_a_broken_person_names_the_image(broken: dict):
    with pytest.raises(DataError, match="ochuman.json: image 000000: .*`bbox`, `keypoints`, `segms`"):
        convert_ochuman(native([person(**broken)]), Path("ochuman.json"))
