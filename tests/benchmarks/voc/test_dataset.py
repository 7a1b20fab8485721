import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.voc import lay_out, write_image, write_set, write_xml


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


def test_a_missing_list_is_named_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"VOC2007.ImageSets.Main.test.txt: the list of the images of VOC2007's test"):
        open_benchmark("voc2007", tmp_path)


def test_ground_truth_that_cannot_be_used_is_an_error(tmp_path):
    lay_out(tmp_path, "val")
    write_xml(tmp_path / "Annotations" / "000001.xml", ("owl", (1, 1, 9, 9), False))
    with pytest.raises(DataError, match=r"000001.xml: object 1: the class 'owl' is not one of .* Unpack VOC2012 again"):
        open_benchmark("voc2012", tmp_path)


def test_records_of_unknown_images_are_refused(tmp_path):
    lay_out(tmp_path, "val")
    with pytest.raises(DataError, match="image_id 9 is not among the 3 images"):
        open_benchmark("voc2012", tmp_path).score([found(9, "dog", [0, 0, 9, 9])])
