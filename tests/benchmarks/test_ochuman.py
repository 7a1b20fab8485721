import json
from pathlib import Path

import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.readers.ochuman import convert_ochuman
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import rle
from tests.builders.ochuman import lay_out, native, person
from tests.builders.scoring import coco_scores
from tests.builders.vectors import load_vector, number, vector_files

CONVERTED = ("num_images", "num_annotations")


@pytest.mark.parametrize("path", vector_files("ochuman"))
def test_equals_the_official_converter_and_evaluator(path: Path):
    vector = load_vector(path)
    given, expected = vector["input"], vector["expected"]
    if "coco" in given:
        compare_files(convert_ochuman(given["raw"], path), given["coco"])
    for name, value in expected.items():
        if name in CONVERTED:
            assert len(given["coco"]["images" if name == "num_images" else "annotations"]) == value
        elif isinstance(value, dict) and "num_images" in value:
            low, high = map(float, name.split("_")[-2:])
            compare_subset(convert_ochuman(given["raw"], path, overlaps=(low, high)), value)
        else:
            compare_scores(given, name, value)


def compare_files(ours: dict, official: dict):
    assert ours["images"] == official["images"]
    assert ours["categories"][0]["keypoints"] == official["categories"][0]["keypoints"]
    assert ours["annotations"] == official["annotations"]


def compare_subset(ours: dict, expected: dict):
    """Every key that a vector knows of a converted file."""
    people = ours["annotations"]
    found = {
        "num_images": len(ours["images"]),
        "num_annotations": len(people),
        "image_file_names": [image["file_name"] for image in ours["images"]],
        "areas": pytest.approx([one["area"] for one in people], abs=1e-9),
        "num_keypoints": [one["num_keypoints"] for one in people],
    }
    assert found.keys() >= expected.keys()
    for name, value in expected.items():
        assert value == found[name], name


def compare_scores(given: dict, iou_type: str, expected: dict):
    results = given[{"segm": "segm_dt", "keypoints": "keypoint_dt"}[iou_type]]
    scores = coco_scores(given["coco"], results, iou_types=(iou_type,))[iou_type]
    per_category = {str(key): value for key, value in scores.per_category.items()}
    found = {**scores.numbers, "AP_per_category": per_category}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name == "AP_per_category":
            assert per_category == pytest.approx({key: number(each) for key, each in value.items()}, abs=1e-9)
        else:
            assert found[name] == pytest.approx(number(value), abs=1e-9), name


def perfect(content: dict) -> list[dict]:
    """The people themselves as predictions."""
    names = ("image_id", "category_id", "segmentation", "keypoints")
    return [{**{name: one[name] for name in names}, "score": 0.9} for one in content["annotations"]]


def test_perfect_predictions_score_one(tmp_path: Path):
    opened = open_benchmark("ochuman", lay_out(tmp_path, [person()], [person(max_iou=0.8)]))
    sections = opened.score(perfect(convert_ochuman(native([person()], [person()]), tmp_path)))
    assert [(section.name, section.numbers["AP"]) for section in sections] == [("segm", 1), ("keypoints", 1)]
    assert opened.counts == {"images": 2, "objects": 2}
    assert [record.path.name for record in opened.dataset().records] == ["000000.jpg", "000001.jpg"]


def test_only_what_the_results_have_is_scored(tmp_path: Path):
    opened = open_benchmark("ochuman", lay_out(tmp_path, [person()]))
    masks = [{**one, "keypoints": None} for one in perfect(convert_ochuman(native([person()]), tmp_path))]
    assert [section.name for section in opened.score(masks)] == ["segm"]
    assert [section.numbers["AP"] for section in opened.score([])] == [0, 0]


def test_boxes_alone_are_refused(tmp_path: Path):
    opened = open_benchmark("ochuman", lay_out(tmp_path, [person()]))
    with pytest.raises(DataError, match="`segmentation`.*`keypoints`"):
        opened.score([{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}])


@pytest.mark.parametrize(("split", "names"), [("val", 3), ("val-moderate", 2), ("val-hard", 1), ("test", 0)])
def test_splits_by_overlap(tmp_path: Path, split: str, names: int):
    folder = lay_out(tmp_path, [person()], [person(max_iou=0.8)], [person(max_iou=0.5)])
    assert open_benchmark("ochuman", folder, split).counts["images"] == names


@pytest.mark.parametrize("place", ["", "annotations/"])
def test_the_ready_file_comes_first(tmp_path: Path, place: str):
    folder = lay_out(tmp_path, [person()], [person()])
    ready = folder / f"{place}ochuman_coco_format_val_range_0.00_1.00.json"
    ready.parent.mkdir(exist_ok=True)
    ready.write_text(json.dumps(convert_ochuman(native([person()]), ready)))
    opened = open_benchmark("ochuman", folder)
    assert opened.source == str(ready)
    assert opened.counts["images"] == 1


def test_the_size_of_a_person_is_that_of_the_box(tmp_path: Path):
    opened = open_benchmark("ochuman", lay_out(tmp_path, [person(bbox=[0, 0, 40, 40])]))
    assert opened.truth is not None
    assert opened.truth.complete[0]["area"] == 1600
    assert rle(opened.truth.objects[0]["segmentation"], (40, 50))
