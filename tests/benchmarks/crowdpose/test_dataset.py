from pathlib import Path

import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError
from tests.builders.crowdpose import found, lay_out


def test_perfect_keypoints_score_one(tmp_path: Path):
    opened = open_benchmark("crowdpose", lay_out(tmp_path))
    (section,) = opened.score([found(7), found(8)])
    assert {name: value for name, value in section.numbers.items() if name != "AP_medium"} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_hard"), 1
    )
    assert section.numbers["AP_medium"] == -1
    assert opened.counts == {"images": 2, "objects": 2}


def test_scores_need_no_images_but_predictions_do(tmp_path: Path):
    opened = open_benchmark("crowdpose", lay_out(tmp_path))
    assert [record.path.name for record in opened.dataset().records] == ["7.jpg", "8.jpg"]
    (tmp_path / "images" / "7.jpg").unlink()
    assert opened.score([])
    with pytest.raises(DataError, match="1 of its 2 images are not there"):
        opened.dataset()


def test_the_folder_is_a_data_set_to_train_on_though_it_has_no_areas(tmp_path: Path):
    data = read_dataset(lay_out(tmp_path, "train"), "train")
    assert data.classes.keypoint_count == 14
    assert data.records[0].instances.boxes.tolist() == [[10, 20, 50, 70]]
    assert data.records[0].instances.keypoints is not None


def test_predictions_without_keypoints_are_refused(tmp_path: Path):
    opened = open_benchmark("crowdpose", lay_out(tmp_path))
    record = {"image_id": 7, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}
    with pytest.raises(DataError, match=r"none of the 1 predictions has `keypoints`.*neither the head nor the neck"):
        opened.score([record])


def test_a_missing_split_names_the_file_and_the_layout(tmp_path: Path):
    with pytest.raises(DataError, match=r"crowdpose_val.json: .* CrowdPose's val is not there.*images/\*.jpg"):
        open_benchmark("crowdpose", lay_out(tmp_path), "val")


def test_an_image_without_a_crowd_index_is_named(tmp_path: Path):
    images = [{"id": 7, "width": 100, "height": 80, "file_name": "7.jpg"}]
    with pytest.raises(DataError, match=r"image 7 has the crowdIndex None"):
        open_benchmark("crowdpose", lay_out(tmp_path, images=images, annotations=[]))
