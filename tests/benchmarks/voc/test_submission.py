from pathlib import Path

import pytest

from maskrcnn.benchmarks.voc.submission import read_voc_files, write_voc_files
from maskrcnn.data.readers.voc import CLASSES
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results

NAMES = {1: "000001", 2: "000002"}
RECORDS = Results(
    (
        {"image_id": 2, "category_id": 7, "score": 1e-05, "bbox": [0.1, 0.2, 10.3, 20.7]},
        {"image_id": 1, "category_id": 7, "score": 0.75, "bbox": [4.0, 5.0, 0.5, 1.0]},
        {"image_id": 1, "category_id": 20, "score": 0.5, "bbox": [0.0, 0.0, 9.0, 9.0]},
    )
)


def written(folder: Path) -> Path:
    write_voc_files(RECORDS, folder, names=NAMES, year="2012", split="test")
    return folder / "results" / "VOC2012" / "Main"


@pytest.mark.parametrize("name", ["sent", "sent.tar", "sent.tgz", "deep/sent.tar.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_voc_files(RECORDS, tmp_path / name, names=NAMES, year="2012", split="test")
    records = read_voc_files(tmp_path / name, NAMES)
    for record, wanted in zip(records, RECORDS, strict=True):
        assert record.pop("bbox") == pytest.approx(wanted["bbox"], abs=1e-12)
        assert record == {key: value for key, value in wanted.items() if key != "bbox"}


def test_every_class_has_a_file_in_the_place_the_server_wants(tmp_path):
    folder = written(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"comp4_det_test_{name}.txt" for name in CLASSES)
    assert (folder / "comp4_det_test_tvmonitor.txt").read_text() == "000001 0.5 1.0 1.0 9.0 9.0\n"
    assert (folder / "comp4_det_test_aeroplane.txt").read_text() == ""


def test_records_without_a_box_are_left_out(tmp_path):
    mask = {"image_id": 1, "category_id": 7, "score": 0.5, "segmentation": {}}
    write_voc_files(Results((mask,)), tmp_path, names=NAMES, year="2012", split="val")
    assert read_voc_files(tmp_path, NAMES) == []


def test_cocos_results_are_read_too(tmp_path):
    RECORDS.write(tmp_path / "results.json")
    assert read_voc_files(tmp_path / "results.json", NAMES) == RECORDS


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("000001 0.5 1 2 3", r"line 2: '000001 0.5 1 2 3' must be `image score xmin ymin xmax ymax`"),
        ("000001 high 1 2 3 4", "must be `image score"),
        ("000003 0.5 1 2 3 4", "line 2: '000003' is not an image of this split"),
        ("000001 nan 1 2 3 4", "all numbers must be finite"),
        ("000001 0.5 9 2 3 4", "xmax and ymax not below xmin"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, problem):
    (written(tmp_path) / "comp4_det_test_dog.txt").write_text(f"000001 0.5 1 2 3 4\n{line}\n")
    with pytest.raises(DataError, match=rf"comp4_det_test_dog.txt: .*{problem}"):
        read_voc_files(tmp_path, NAMES)


def test_each_class_has_one_file(tmp_path):
    folder = written(tmp_path)
    (folder / "comp3_det_test_dog.txt").write_text("")
    with pytest.raises(DataError, match="comp4_det_test_dog.txt is the second of its class"):
        read_voc_files(tmp_path, NAMES)
    (folder / "comp3_det_test_dog.txt").rename(folder / "comp3_det_test_owl.txt")
    with pytest.raises(DataError, match="comp3_det_test_owl.txt names no class of VOC"):
        read_voc_files(tmp_path, NAMES)
    (folder / "comp3_det_test_owl.txt").unlink()
    (folder / "comp4_det_test_cow.txt").unlink()
    with pytest.raises(DataError, match=r"has no comp4_det_\*.txt of cow\. An empty file says"):
        read_voc_files(tmp_path, NAMES)


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "sent.tar.gz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"sent.tar.gz: cannot be read as an archive"):
        read_voc_files(tmp_path / "sent.tar.gz", NAMES)
