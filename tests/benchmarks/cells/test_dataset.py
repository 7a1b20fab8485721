import numpy as np
import pytest
from PIL import Image

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.cells import cell17, cells, kumar
from tests.builders.scores import numbers, perfect


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


def test_scoring_needs_no_images(tmp_path):
    opened = open_benchmark("kumar", kumar(tmp_path, images=False))
    assert numbers(opened, perfect(opened))["instances"]["aji_plus"] == 1
    with pytest.raises(DataError, match="2 of its 2 images are not there"):
        opened.dataset()


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
    with pytest.raises(DataError, match=r"no label maps of Kumar nuclei, split test, are there.*test_diff.*inst_map"):
        open_benchmark("kumar", tmp_path)
    kumar(tmp_path / "data")
    opened = open_benchmark("kumar", tmp_path / "data")
    (tmp_path / "data" / "test_same" / "Labels" / "liver_2.mat").unlink()
    with pytest.raises(DataError, match=r"1 of 2 images have no label map there: .*liver_2\.tif"):
        open_benchmark("kumar", tmp_path / "data")
    with pytest.raises(DataError, match="no label maps of Kumar nuclei, split train"):
        open_benchmark("kumar", tmp_path / "data", "train")
    with pytest.raises(DataError, match="is no folder, but results of this benchmark are a folder with"):
        opened.read(tmp_path / "nowhere")
    (tmp_path / "results").mkdir()
    np.save(tmp_path / "results" / "breast_1.npy", cells())
    with pytest.raises(DataError, match="holds no label map of 1 of 2 images, such as liver_2"):
        opened.read(tmp_path / "results")
    np.save(tmp_path / "results" / "liver_2.npy", cells().T)
    with pytest.raises(DataError, match=r"liver_2\.npy: the label map is of size \[40, 30\]"):
        opened.read(tmp_path / "results")
