import json
import zipfile

import pytest

from maskrcnn.benchmarks.coco.submission import read_lists, write_lists
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.results import Results

NAMES = {"bbox": "detections_val2017_x-bbox_results", "segm": "detections_val2017_x-segm_results"}
MASK = {"size": [2, 2], "counts": "04"}
RECORDS = Results(
    (
        {"image_id": 1, "category_id": 2, "score": 0.5, "bbox": [0, 0, 2, 2], "segmentation": MASK},
        {"image_id": 1, "category_id": 2, "score": 0.5, "bbox": [0, 0, 1, 2], "segmentation": MASK},
    )
)


def test_each_list_is_a_zip_file_with_a_json_file_of_the_same_name(tmp_path):
    write_lists(tmp_path / "a" / "b", RECORDS, NAMES)
    for kind, field in (("bbox", "bbox"), ("segm", "segmentation")):
        with zipfile.ZipFile(tmp_path / "a" / "b" / f"{NAMES[kind]}.zip") as archive:
            assert archive.namelist() == [f"{NAMES[kind]}.json"]
            records = json.loads(archive.read(f"{NAMES[kind]}.json"))
        assert [sorted(one) for one in records] == 2 * [sorted(["image_id", "category_id", "score", field])]
    assert read_lists(tmp_path / "a" / "b") == RECORDS


def test_lists_of_other_objects_come_one_after_the_other(tmp_path):
    write_lists(tmp_path, RECORDS[:1], {"bbox": "a_results"})
    write_lists(tmp_path, RECORDS, {"segm": "b_results"})
    read = read_lists(tmp_path)
    assert [sorted(one)[0] for one in read] == ["bbox", "category_id", "category_id"]


def test_a_kind_that_was_not_predicted_has_no_file_and_nothing_predicted_is_empty_lists(tmp_path):
    write_lists(tmp_path / "boxes", Results(({**RECORDS[0], "segmentation": None},)), NAMES)
    assert [path.name for path in (tmp_path / "boxes").iterdir()] == [f"{NAMES['bbox']}.zip"]
    write_lists(tmp_path / "nothing", Results(()), NAMES)
    assert len(list((tmp_path / "nothing").iterdir())) == 2
    assert read_lists(tmp_path / "nothing") == []


def test_one_file_packed_or_not_is_enough_and_none_is_read_twice(tmp_path):
    write_lists(tmp_path, RECORDS, {"bbox": "a_results"})
    boxes = [{key: value for key, value in one.items() if key != "segmentation"} for one in RECORDS]
    (tmp_path / "a_results.json").write_text(json.dumps(boxes))
    for path in (tmp_path, tmp_path / "a_results.zip", tmp_path / "a_results.json"):
        assert read_lists(path) == boxes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"a_results.zip: cannot be read as a zip file"),
        ({}, r"a_results.zip: holds no JSON file, but COCO's results are \[type\]_"),
        ({"a_results.json": "[{"}, r"a_results.zip: a_results.json: is not valid JSON"),
        ({"a_results.json": "{}"}, r"a_results.zip: a_results.json: must be a list of records"),
        ({"a_results.json": "[3]"}, r"a_results.zip: a_results.json: must be a list of records"),
    ],
)
def test_a_broken_file_is_named(content, problem, tmp_path):
    file = tmp_path / "a_results.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    with pytest.raises(DataError, match=problem):
        read_lists(tmp_path)


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no results of COCO's form, \[type\]"):
        read_lists(tmp_path)
    with pytest.raises(DataError, match=r"nothing: cannot be read"):
        read_lists(tmp_path / "nothing")


def test_a_submission_is_no_file(tmp_path):
    with pytest.raises(SettingError, match="Give the path of a folder"):
        write_lists(tmp_path / "results.json", RECORDS, NAMES)
