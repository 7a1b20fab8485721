import json

import pytest

from maskrcnn.benchmarks.bdd100k.dataset import write_frames
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from tests.builders.bdd100k import encode, lay_out, objects

NAMES, CATEGORIES = {1: "a2.jpg", 2: "b1.jpg"}, {1: "pedestrian", 3: "car"}
RECORDS = Results(
    (
        {"image_id": 2, "category_id": 3, "score": 0.5, "segmentation": encode(objects()[0]["mask"])},
        {"image_id": 2, "category_id": 1, "score": 0.25, "segmentation": encode(objects()[1]["mask"])},
    )
)


@pytest.fixture
def opened(tmp_path):
    return open_benchmark("bdd100k", lay_out(tmp_path, "rles"))


def label(**change) -> dict:
    return {"id": "1", "category": "car", "score": 0.5, "rle": RECORDS[0]["segmentation"], **change}


def write(path, *labels: dict, name: str = "b1.jpg"):
    path.write_text(json.dumps([{"name": name, "labels": list(labels)}]))
    return path


def test_each_image_has_a_frame_with_names_scores_and_rle(tmp_path):
    write_frames(tmp_path / "new" / "results.json", RECORDS, NAMES, CATEGORIES)
    first, second = json.loads((tmp_path / "new" / "results.json").read_text())
    assert first == {"name": "a2.jpg", "labels": []}
    assert second["name"] == "b1.jpg"
    assert second["labels"][0] == label()
    assert [one["category"] for one in second["labels"]] == ["car", "pedestrian"]


def test_what_was_written_is_read(opened, tmp_path):
    write_frames(tmp_path / "results.json", RECORDS, NAMES, CATEGORIES)
    assert opened.read(tmp_path / "results.json") == RECORDS


def test_other_names_of_categories_are_understood(opened, tmp_path):
    file = write(
        tmp_path / "results.json", label(category="van"), label(category="trailer", rle=RECORDS[1]["segmentation"])
    )
    assert [record["category_id"] for record in opened.read(file)] == [3, 4]


def test_coco_results_are_read_as_they_are(opened, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(list(RECORDS)))
    assert opened.read(tmp_path / "results.json") == RECORDS
    (tmp_path / "results.json").write_text("[]")
    assert opened.read(tmp_path / "results.json") == []


def test_predictions_of_an_image_with_an_overlap_are_left_out_with_a_warning(opened, tmp_path):
    file = write(tmp_path / "results.json", label(), label(category="bus"))
    with pytest.warns(UserWarning, match="of 1 images, b1.jpg first, all predictions are left out"):
        assert opened.read(file) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"category": "boat"}, "frame b1.jpg: label '1': `category` 'boat' is not one of pedestrian, rider"),
        ({"category": None}, "`category` is None, but must be a text"),
        ({"rle": None}, "label '1': must have `score` and `rle`"),
        ({"score": 1.5}, "score 1.5 must be a number from 0 to 1"),
        ({"rle": {"counts": "04", "size": [2, 2]}}, r"its mask is of size \[2, 2\]"),
    ],
)
def test_a_label_that_cannot_be_used_is_named(change, problem, opened, tmp_path):
    with pytest.raises(DataError, match=problem):
        opened.read(write(tmp_path / "results.json", label(**change)))


def test_files_that_cannot_be_used_are_named(opened, tmp_path):
    with pytest.raises(DataError, match="frame c.jpg: label '1': the ground truth has no image of this name"):
        opened.read(write(tmp_path / "results.json", label(), name="c.jpg"))
    (tmp_path / "results.json").write_text(json.dumps([{"name": "b1.jpg"}, {"name": "b1.jpg"}]))
    with pytest.raises(DataError, match="frame 1: `name` 'b1.jpg' is there twice"):
        opened.read(tmp_path / "results.json")
    (tmp_path / "results.json").write_text("[")
    with pytest.raises(DataError, match="results.json: is not valid JSON"):
        opened.read(tmp_path / "results.json")
