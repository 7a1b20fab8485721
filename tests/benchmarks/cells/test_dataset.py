import json

import numpy as np
import pytest
from PIL import Image

from maskrcnn.benchmarks.cells.dataset import accuracy_sections, nuclei_sections
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop
from tests.builders.cells import cell17, cells, kumar
from tests.builders.nuclei import SIZE, bowl, draw
from tests.builders.scoring import coco, numbers, perfect

BARS_SIZE = (20, 60)


def test_cells_of_both_tests_are_found_and_score_one(tmp_path):
    kumar(tmp_path)
    kumar(tmp_path, ("bladder_1",), "test_diff")
    opened = open_benchmark("kumar", tmp_path)
    assert opened.counts == {"images": 3, "objects": 9}
    assert opened.image_names == {1: "breast_1", 2: "liver_2", 3: "bladder_1"}
    data = opened.dataset()
    assert [record.path.name for record in data.records] == ["breast_1.tif", "liver_2.tif", "bladder_1.tif"]
    assert data.classes.names == ("nucleus",)
    found = numbers(opened, perfect(opened))
    assert found["instances"]["dice_pixel"] == found["instances"]["aji"] == 1
    assert found["instances"]["pq"] == pytest.approx(1, abs=1e-6)
    assert found["glas"] == {"f1_object": 1, "dice_object": 1, "hausdorff_object": 0}


def test_the_challenge_of_2017_lies_side_by_side(tmp_path):
    cell17(tmp_path)
    opened = open_benchmark("cell17", tmp_path)
    assert [record.path.name for record in opened.dataset().records] == ["image01.png", "image02.png"]
    found = numbers(opened, perfect(opened))
    assert found["glas_pooled"]["dice_object"] == 1
    assert list(found) == ["glas", "instances", "glas_pooled", "foreground"]  # what its papers quote first


def test_results_are_read_back_as_they_were_written(tmp_path):
    opened = open_benchmark("kumar", kumar(tmp_path))
    records = perfect(opened)[:4]
    records[0] = {**records[0], "score": 0.3}  # below the threshold of both
    opened.submit(records, tmp_path / "results")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["breast_1.mat", "liver_2.mat"]
    back = opened.read(tmp_path / "results")
    assert len(back) == 3
    assert numbers(opened, back) == numbers(opened, records)


def test_maps_of_other_programs_are_scored(tmp_path):
    opened = open_benchmark("kumar", kumar(tmp_path))
    (tmp_path / "results").mkdir()
    np.save(tmp_path / "results" / "breast_1.npy", cells(shift=2))
    Image.fromarray(cells().astype(np.uint16)).save(tmp_path / "results" / "liver_2_mask.png")
    found = numbers(opened, opened.read(tmp_path / "results"))
    assert found["glas"]["hausdorff_object"] == pytest.approx(2 * 80 / 224 / 2)


def test_missing_and_wrong_files_are_named(tmp_path):
    with pytest.raises(DataError, match="Kumar nuclei, split test.*inst_map"):
        open_benchmark("kumar", tmp_path)
    kumar(tmp_path / "data")
    opened = open_benchmark("kumar", tmp_path / "data")
    (tmp_path / "data" / "test_same" / "Labels" / "liver_2.mat").unlink()
    with pytest.raises(DataError, match="1 of 2 .*liver_2.tif"):
        open_benchmark("kumar", tmp_path / "data")
    with pytest.raises(DataError, match="Kumar nuclei, split train"):
        open_benchmark("kumar", tmp_path / "data", "train")
    (tmp_path / "results").mkdir()
    np.save(tmp_path / "results" / "breast_1.npy", cells())
    with pytest.raises(DataError, match="1 of 2 .*liver_2"):
        opened.read(tmp_path / "results")
    np.save(tmp_path / "results" / "liver_2.npy", cells().T)
    with pytest.raises(DataError, match=r"liver_2.npy.*\[40, 30\]"):
        opened.read(tmp_path / "results")


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
    with pytest.raises(DataError, match="stage1_solution.csv: line 2.*Height.*Width"):
        open_benchmark("nuclei", tmp_path, "test")


def test_a_data_set_in_cocos_format_is_scored_too(tmp_path):
    train = open_benchmark("nuclei", bowl(tmp_path / "bowl", 2), "train")
    content = coco(*train.truth.objects, size=SIZE, classes={1: "nucleus"})
    content["images"][0]["file_name"] = "a.png"
    (tmp_path / "val.json").write_text(json.dumps(content))
    for path in (tmp_path, tmp_path / "val.json"):
        opened = open_benchmark("nuclei", path)
        assert numbers(opened, perfect(opened))["bowl"]["score"] == 1  # without an image
        assert opened.image_names == {1: "a"}
    draw(tmp_path / "images" / "a.png", np.zeros((*SIZE, 3), np.uint8))
    assert len(opened.dataset().records[0].instances) == 2


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="split val .*stage1_train/ID/masks"):
        open_benchmark("nuclei", bowl(tmp_path, 1))
    (tmp_path / "stage1_train" / "id0" / "masks" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="masks/0.png"):
        open_benchmark("nuclei", tmp_path, "train")


def bar(image_id, left, right, **more):
    mask = encode_crop(Crop(left, 0, np.ones((10, right - left), bool)), BARS_SIZE)
    return {"image_id": image_id, "category_id": 1, "segmentation": mask, **more}


def truth(*objects, images=2):
    return Annotations.parse(coco(*objects, size=BARS_SIZE, images=range(1, images + 1)))


def accuracies(annotations, records, score_threshold=0.5):
    sections = accuracy_sections(annotations, Results(tuple(records)), score_threshold=score_threshold)
    return {section.name: section.numbers for section in sections}


def test_accuracy_is_pooled_and_the_bowls_is_a_mean_over_images():
    # the first image: one of two nuclei found with an IoU of .82; the second: its one nucleus found exactly
    annotations = truth(bar(1, 0, 10), bar(1, 20, 30), bar(2, 0, 10))
    records = [bar(1, 1, 11, score=0.9), bar(2, 0, 10, score=0.9)]
    found = accuracies(annotations, records)
    assert found["accuracy"]["accuracy50"] == 2 / 3
    assert found["accuracy"]["accuracy85"] == 1 / 4  # a false positive and a false negative more
    assert found["accuracy"]["accuracy"] == pytest.approx((7 * 2 / 3 + 2 / 4) / 9)
    assert found["bowl"]["score"] == pytest.approx((7 / 10 * 1 / 2 + 1) / 2)


def test_predictions_below_the_score_threshold_do_not_count():
    annotations = truth(bar(1, 0, 10), images=1)
    records = [bar(1, 0, 10, score=0.6), bar(1, 30, 40, score=0.4)]
    assert accuracies(annotations, records)["bowl"]["score"] == 1
    assert accuracies(annotations, records, 0.4)["bowl"]["score"] == 1 / 2
    assert accuracies(annotations, records, 0.7)["bowl"]["score"] == 0


def test_images_without_nuclei_count_only_if_some_are_found():
    annotations = truth(bar(1, 0, 10))
    right = bar(1, 0, 10, score=1)
    assert accuracies(annotations, [right])["bowl"]["score"] == 1
    assert accuracies(annotations, [right, bar(2, 0, 10, score=1)])["bowl"]["score"] == 1 / 2
    nothing = accuracies(truth(), [])
    assert nothing["bowl"]["score"] is None
    assert set(nothing["accuracy"].values()) == {None}


def test_all_rules_of_nuclei_are_sections():
    annotations = truth(bar(1, 0, 10))
    said = []
    sections = nuclei_sections(annotations, Results((bar(1, 0, 10, score=0.8),)), score_threshold=0.5, say=said.append)
    assert [section.name for section in sections] == [
        *("accuracy", "bowl", "segm", "instances", "glas", "glas_pooled", "foreground")
    ]
    assert "at most 500 detections" in sections[2].protocol
    assert sections[2].numbers["AP"] == pytest.approx(1)
    assert said[0] == "instance accuracy"
