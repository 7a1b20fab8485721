from pathlib import Path

import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.benchmarks.voc.dataset import read_voc_files, write_voc_files
from maskrcnn.data.readers.voc import CLASSES
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from tests.builders.voc import lay_out, write_image, write_sbd, write_set, write_xml

NAMES = {1: "000001", 2: "000002"}
RECORDS = Results(
    (
        {"image_id": 2, "category_id": 7, "score": 1e-05, "bbox": [0.1, 0.2, 10.3, 20.7]},
        {"image_id": 1, "category_id": 7, "score": 0.75, "bbox": [4.0, 5.0, 0.5, 1.0]},
        {"image_id": 1, "category_id": 20, "score": 0.5, "bbox": [0.0, 0.0, 9.0, 9.0]},
    )
)


def found(image_id: int, name: str, box: list[float], score: float = 0.9) -> dict:
    x, y, width, height = box
    polygon = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    category_id = {"dog": 12, "cat": 8}[name]
    return {"image_id": image_id, "category_id": category_id, "score": score, "bbox": box, "segmentation": polygon}


def perfect() -> list[dict]:
    dogs = [found(image_id, "dog", [0, 0, 10, 20]) for image_id in (1, 2, 3)]
    return [*dogs, *(found(image_id, "cat", [30, 10, 20, 20]) for image_id in (2, 3))]


@pytest.mark.parametrize("inside", ["VOCdevkit/VOC2012", "VOC2012", "."])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, inside):
    lay_out(tmp_path / "data" / inside, "val")
    opened = open_benchmark("voc2012", tmp_path / "data")
    assert opened.counts == {"images": 3, "objects": 5}
    assert opened.image_names == {1: "000001", 2: "000002", 3: "000003"}
    data = opened.dataset()
    assert [record.image_id for record in data.records] == [1, 2, 3]
    assert data.classes.category_ids[11] == 12
    boxes, sds, mnc = opened.score(perfect())
    assert boxes.numbers == {"AP50 (area)": 1, "AP50 (11 points)": 1, "recall": 1}
    assert boxes.per_class["cat"]["recall"] is None  # the only one is difficult
    assert (sds.numbers["APr_vol"], mnc.numbers["APr70"]) == (pytest.approx(1), pytest.approx(1))
    opened.submit(perfect(), tmp_path / "sent")
    file = tmp_path / "sent" / "results" / "VOC2012" / "Main" / "comp4_det_val_dog.txt"
    assert file.read_text().splitlines()[0] == "000001 0.9 1.0 1.0 10.0 20.0"
    assert opened.score(opened.read(tmp_path / "sent")) == [boxes]


def test_boxes_and_masks_are_scored_on_their_own_images(tmp_path):
    lay_out(tmp_path, "test")
    score = open_benchmark("voc2007", tmp_path).score
    wrong = found(3, "dog", [30, 10, 20, 20], score=1.0)
    boxes, sds, _ = score([*perfect(), wrong])
    assert boxes.numbers["AP50 (11 points)"] == 1
    assert next(iter(boxes.numbers)) == "AP50 (11 points)"
    assert sds.per_class["dog"]["APr50"] == 0.5
    boxes, sds, _ = score([*perfect(), wrong | {"image_id": 1}])
    assert boxes.per_class["dog"]["AP50 (area)"] == pytest.approx(2 / 3)
    assert sds.numbers["APr50"] == 1


def test_boxes_alone_and_sets_without_masks_give_no_scores_of_masks(tmp_path):
    lay_out(tmp_path, "val")
    boxes = [{key: value for key, value in one.items() if key != "segmentation"} for one in perfect()]
    assert len(open_benchmark("voc2012", tmp_path).score(boxes)) == 1
    assert len(open_benchmark("voc2012", tmp_path).score([])) == 3
    write_set(tmp_path, "Segmentation", "val", [])
    of_boxes = [one for one in perfect() if one["image_id"] < 3]
    assert len(open_benchmark("voc2012", tmp_path).score(of_boxes)) == 1


def test_the_ids_of_the_boxes_images_do_not_depend_on_the_masks(tmp_path):
    lay_out(tmp_path, "val")
    write_set(tmp_path, "Main", "val", ["000002", "000003"])
    write_set(tmp_path, "Segmentation", "val", ["000001", "000003"])
    assert open_benchmark("voc2012", tmp_path).image_names == {1: "000002", 2: "000003", 3: "000001"}


def test_the_test_of_2012_is_only_sent(tmp_path):
    root = tmp_path / "VOC2012"
    write_set(root, "Main", "test", ["2008_000006", "2008_000001"])
    for stem in ("2008_000001", "2008_000006"):
        write_image(root / "JPEGImages", stem)
    opened = open_benchmark("voc2012", tmp_path, "test")
    assert not opened.public
    assert opened.counts == {"images": 2}
    assert [record.path.stem for record in opened.dataset().records] == ["2008_000001", "2008_000006"]
    assert opened.dataset().classes.names[11] == "dog"
    opened.submit([found(2, "dog", [0, 0, 10, 20])], tmp_path / "sent.tar.gz")
    records = opened.read(tmp_path / "sent.tar.gz")
    assert records == [{"image_id": 2, "category_id": 12, "score": 0.9, "bbox": [0, 0, 10, 20]}]


def test_ground_truth_that_cannot_be_used_is_an_error(tmp_path):
    lay_out(tmp_path, "val")
    write_xml(tmp_path / "Annotations" / "000001.xml", ("owl", (1, 1, 9, 9), False))
    with pytest.raises(DataError, match="000001.xml: object 1: .*owl"):
        open_benchmark("voc2012", tmp_path)


def exact(image_id: int, category_id: int, box: tuple[int, int, int, int], score: float = 0.9) -> dict:
    x, y, width, height = box
    polygon = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return {"image_id": image_id, "category_id": category_id, "score": score, "segmentation": polygon}


def test_perfect_masks_reach_one_and_a_missed_one_costs(tmp_path):
    write_sbd(tmp_path / "benchmark_RELEASE" / "dataset", "val", {"a": [(12, (0, 0, 10, 5)), (12, (20, 10, 10, 10))]})
    opened = open_benchmark("sbd", tmp_path)
    assert opened.counts == {"images": 1, "objects": 2}
    assert [record.path.name for record in opened.dataset().records] == ["a.jpg"]
    records = [exact(1, 12, (0, 0, 10, 5)), exact(1, 12, (20, 10, 10, 10))]
    sds, mnc = opened.score(records)
    assert (sds.numbers["APr_vol"], mnc.numbers["APr50"]) == (pytest.approx(1), pytest.approx(1))
    sds, mnc = opened.score(records[:1])
    assert (sds.numbers["APr50"], mnc.numbers["APr50"]) == (0.5, pytest.approx(6 / 11))


def test_masks_of_unknown_classes_are_an_error(tmp_path):
    write_sbd(tmp_path, "val", {"a": [(21, (0, 0, 10, 5))]})
    with pytest.raises(DataError, match="object 1: .*21.*1 to 20"):
        open_benchmark("sbd", tmp_path)


def written(folder: Path) -> Path:
    write_voc_files(RECORDS, folder, names=NAMES, year="2012", split="test")
    return folder / "results" / "VOC2012" / "Main"


@pytest.mark.parametrize("name", ["sent", "sent.tar", "sent.tgz", "deep/sent.tar.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_voc_files(RECORDS, tmp_path / name, names=NAMES, year="2012", split="test")
    records = read_voc_files(tmp_path / name, NAMES)
    for record, given in zip(records, RECORDS, strict=True):
        assert record.pop("bbox") == pytest.approx(given["bbox"], abs=1e-12)
        assert record == {key: value for key, value in given.items() if key != "bbox"}


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
        ("000001 0.5 1 2 3", "line 2: '000001 0.5 1 2 3'.*image score xmin ymin xmax ymax"),
        ("000001 high 1 2 3 4", "000001 high 1 2 3 4"),
        ("000003 0.5 1 2 3 4", "line 2: '000003'"),
        ("000001 nan 1 2 3 4", "000001 nan 1 2 3 4"),
        ("000001 0.5 9 2 3 4", "000001 0.5 9 2 3 4"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, problem):
    (written(tmp_path) / "comp4_det_test_dog.txt").write_text(f"000001 0.5 1 2 3 4\n{line}\n")
    with pytest.raises(DataError, match=rf"comp4_det_test_dog.txt: .*{problem}"):
        read_voc_files(tmp_path, NAMES)


def test_each_class_has_one_file(tmp_path):
    folder = written(tmp_path)
    (folder / "comp3_det_test_dog.txt").write_text("")
    with pytest.raises(DataError, match="comp4_det_test_dog.txt"):
        read_voc_files(tmp_path, NAMES)
    (folder / "comp3_det_test_dog.txt").rename(folder / "comp3_det_test_owl.txt")
    with pytest.raises(DataError, match="comp3_det_test_owl.txt"):
        read_voc_files(tmp_path, NAMES)
    (folder / "comp3_det_test_owl.txt").unlink()
    (folder / "comp4_det_test_cow.txt").unlink()
    with pytest.raises(DataError, match="of cow"):
        read_voc_files(tmp_path, NAMES)
