import json

import numpy as np
import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.nuclei import SIZE, bowl, draw
from tests.builders.scores import numbers, perfect


def test_the_official_folders_score_one(tmp_path):
    opened = open_benchmark("nuclei", bowl(tmp_path, 2, 1, 0), "train")
    assert opened.counts == {"images": 3, "objects": 3}
    assert [len(record.instances) for record in opened.dataset().records] == [2, 1, 0]
    found = numbers(opened, perfect(opened))
    assert (found["accuracy"]["accuracy"], found["bowl"]["score"]) == (1, 1)
    assert found["segm"]["AP"] == pytest.approx(1)
    assert found["instances"]["dice_pixel"] == found["glas"]["f1_object"] == 1


def test_a_table_is_written_and_scores_the_same(tmp_path):
    opened = open_benchmark("nuclei", bowl(tmp_path, 3, 1), "train")
    records = perfect(opened)[:-1]
    opened.submit(records, tmp_path / "out.csv")
    back = opened.read(tmp_path / "out.csv")
    assert numbers(opened, back)["bowl"] == numbers(opened, records)["bowl"] == {"score": 0.5}
    assert numbers(opened, back)["glas_pooled"] == numbers(opened, records)["glas_pooled"]


def test_the_test_of_stage_one_comes_with_a_table(tmp_path):
    rows = ["ImageId,EncodedPixels,Height,Width,Usage", "t,1 3,12,16,Ignored", "t,13 3,12,16,Ignored"]
    (tmp_path / "stage1_solution.csv").write_text("\n".join(rows))
    opened = open_benchmark("nuclei", tmp_path, "test")
    assert numbers(opened, perfect(opened))["bowl"]["score"] == 1
    draw(tmp_path / "stage1_test" / "t" / "images" / "t.png", np.zeros((*SIZE, 3), np.uint8))
    assert opened.dataset().records[0].instances.boxes.tolist() == [[0, 0, 1, 3], [1, 0, 2, 3]]
    (tmp_path / "stage1_solution.csv").write_text("ImageId,EncodedPixels\nt,1 3\n")
    with pytest.raises(DataError, match=r"stage1_solution\.csv: line 2: has no Height and Width"):
        open_benchmark("nuclei", tmp_path, "test")


def test_a_data_set_in_cocos_format_is_scored_too(tmp_path):
    train = open_benchmark("nuclei", bowl(tmp_path / "bowl", 2), "train")
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": 1, "name": "nucleus"}],
        "annotations": train.truth.objects,
    }
    (tmp_path / "val.json").write_text(json.dumps(coco))
    for path in (tmp_path, tmp_path / "val.json"):
        opened = open_benchmark("nuclei", path)
        assert numbers(opened, perfect(opened))["bowl"]["score"] == 1  # without an image
        assert opened.image_names == {1: "a"}
    draw(tmp_path / "images" / "a.png", np.zeros((*SIZE, 3), np.uint8))
    assert len(opened.dataset().records[0].instances) == 2


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no annotated split val of nuclei.*stage1_train/ID/masks"):
        open_benchmark("nuclei", bowl(tmp_path, 1))
    (tmp_path / "stage1_train" / "id0" / "masks" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"masks/0\.png: .*empty"):
        open_benchmark("nuclei", tmp_path, "train")
