import copy
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.config import KeypointHeadSettings, ModelSettings
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.coco import coco_sections, kinds_of, unique_names
from maskrcnn.structures.classes import COCO_PERSON, Classes
from tests.builders.scoring import coco_scores, parsed
from tests.builders.vectors import load_vector, number, vector_files

FEW = ("coco-ties_crowd_maxdets", "coco-random_det_seed11", "none")
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def square(image_id: int, x: float, side: float = 40, **more) -> dict:
    """An object or a prediction: a square at (x, 10)."""
    polygon = [[x, 10, x + side, 10, x + side, 10 + side, x, 10 + side]]
    return {"image_id": image_id, "category_id": 7, "bbox": [x, 10, side, side], "segmentation": polygon, **more}


def data_set(*objects: dict) -> dict:
    return {
        "images": [{"id": 1, "width": 200, "height": 100}, {"id": 2, "width": 200, "height": 100}],
        "categories": [{"id": 7, "name": "cell"}],
        "annotations": [{"id": number, **found} for number, found in enumerate(objects, start=1)],
    }


def precision_of_pycocotools(truth: dict, results: list[dict], kind: str, limits: list[int]) -> tuple:
    """Raw precision and recall arrays, from records of one kind."""
    annotated = COCO()
    annotated.dataset = copy.deepcopy(truth)
    annotated.createIndex()
    field = {"bbox": "bbox", "segm": "segmentation"}[kind]
    records = [{key: record[key] for key in ("image_id", "category_id", "score", field)} for record in results]
    evaluation = COCOeval(annotated, annotated.loadRes(records), kind)
    evaluation.params.maxDets = limits
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


@pytest.mark.parametrize("path", vector_files("coco"))
def test_all_numbers_equal_pycocotools_on_the_vectors(path):
    vector = load_vector(path)
    for kind, expected in vector["expected"].items():
        scores = coco_scores(vector["input"]["gt"], vector["input"]["dt"], kinds=[kind])[kind]
        assert list(scores.numbers) == [name for name in expected if name != "AP_per_category"]
        for name, value in expected.items():
            if name == "AP_per_category":
                per_category = {int(key): number(each) for key, each in value.items()}
                assert scores.per_category == pytest.approx(per_category, abs=1e-9)
            else:
                assert scores.numbers[name] == pytest.approx(number(value), abs=1e-9)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("most", [1, 5, 10, 40, 500])
@pytest.mark.parametrize("path", [path for path in vector_files("coco") if path.id in FEW])
def test_any_number_of_detections_equals_pycocotools(path, most, kind, capsys):
    vector = load_vector(path)["input"]
    limits = [limit for limit in (1, 10) if limit < most] + [most]
    precision, recall = precision_of_pycocotools(vector["gt"], vector["dt"], kind, limits)
    numbers = coco_scores(vector["gt"], vector["dt"], max_detections=most, kinds=[kind])[kind].numbers
    found = precision[:, :, :, 0, -1]
    assert numbers["AP"] == pytest.approx(found[found > -1].mean(), abs=1e-9)
    recalled = recall[:, :, 0, -1]
    assert numbers[f"AR{most}"] == pytest.approx(recalled[recalled > -1].mean(), abs=1e-9)


def test_more_detections_than_100_count_when_they_may():
    truth = data_set(square(1, 100, id=1))
    results = [square(1, 0, side=5, score=0.9) for _ in range(120)] + [square(1, 100, score=0.5)]
    assert coco_scores(truth, results, kinds=["bbox"])["bbox"].numbers["AP"] == 0
    numbers = coco_scores(truth, results, max_detections=500, kinds=["bbox"])["bbox"].numbers
    assert numbers["AR500"] == 1
    assert numbers["AP"] == pytest.approx(1 / 121)
    assert "AR100" not in numbers


def test_a_found_and_a_missed_object_give_half():
    truth = data_set(square(1, 0), square(2, 0))
    scores = coco_scores(truth, [square(1, 0, score=0.9)])
    for kind in ("bbox", "segm"):
        assert scores[kind].numbers["AP50"] == pytest.approx(51 / 101)  # recalls 0 to 0.50 of 101 steps
        assert scores[kind].numbers["AR1"] == 0.5
        assert scores[kind].per_class["cell"]["AP"] == pytest.approx(51 / 101)
        assert scores[kind].per_category == pytest.approx({7: 51 / 101})


def test_missing_areas_come_from_the_mask_and_the_callers_dict_stays_as_it_is():
    thin = square(1, 0) | {
        "segmentation": [[0, 10, 40, 10, 40, 20, 0, 20]]
    }  # box 1600 px (medium), mask 400 px (small)
    truth = data_set(thin)
    before = copy.deepcopy(truth)
    numbers = coco_scores(truth, [thin | {"score": 1.0}])["segm"].numbers
    assert (numbers["APs"], numbers["APm"]) == (pytest.approx(1), -1)
    assert truth == before


def test_missing_boxes_and_missing_masks_stand_in_for_each_other():
    boxed, outlined = square(1, 0), square(2, 0)
    del boxed["segmentation"], outlined["bbox"]
    results = [square(1, 0, score=0.9), square(2, 0, score=0.8)]
    scores = coco_scores(data_set(boxed, outlined), results)
    assert scores["bbox"].numbers["AP"] == scores["segm"].numbers["AP"] == pytest.approx(1)


def test_records_with_box_and_mask_take_the_masks_own_size():
    thin = square(1, 0) | {"segmentation": [[0, 10, 40, 10, 40, 20, 0, 20]]}
    truth = data_set(square(1, 100, area=1600))
    numbers = coco_scores(truth, [square(1, 100, score=0.5), thin | {"score": 0.9}])["segm"].numbers
    assert numbers["APm"] == pytest.approx(
        1
    )  # the thin prediction is small by its mask, so it is no false positive here


def test_no_predictions_give_zero_and_no_objects_give_minus_one():
    numbers = coco_scores(data_set(square(1, 0)), [])["segm"].numbers
    assert (numbers["AP"], numbers["AR100"], numbers["APl"]) == (0, 0, -1)
    assert set(coco_scores(data_set(), [])["bbox"].numbers.values()) == {-1}
    assert set(coco_scores(data_set(), [square(1, 0, score=0.5)])["segm"].numbers.values()) == {-1}


def test_an_annotation_with_id_zero_can_be_found():
    truth = data_set(square(1, 0, id=0), square(2, 0, id=1))
    results = [square(1, 0, score=0.9), square(2, 0, score=0.8)]
    assert coco_scores(truth, results)["bbox"].numbers["AP"] == pytest.approx(1)


def test_classes_of_the_same_name_are_told_apart_by_their_id():
    truth = data_set(square(1, 0))
    truth["categories"] += [{"id": 9, "name": "cell"}, {"id": 8, "name": "rest"}]
    per_class = coco_scores(truth, [square(1, 0, score=1.0)])["bbox"].per_class
    assert {name: found["AP75"] for name, found in per_class.items()} == {"cell (7)": 1, "rest": -1, "cell (9)": -1}


def test_files_give_what_their_contents_give_and_nothing_is_printed(tmp_path, capfd):
    truth, results = data_set(square(1, 0), square(1, 100)), [square(1, 0, score=0.9)]
    (tmp_path / "val.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert coco_scores(tmp_path / "val.json", tmp_path / "results.json") == coco_scores(truth, results)
    assert capfd.readouterr() == ("", "")


def test_a_prediction_for_an_unknown_image_is_refused(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps([square(1, 0, score=0.9), square(3, 0, score=0.9)]))
    with pytest.raises(DataError, match=r"results.json: record 1: image_id 3 is not among the 2 images\. Make the"):
        coco_scores(data_set(square(1, 0)), tmp_path / "results.json")


def test_at_least_one_detection_must_count():
    with pytest.raises(SettingError, match="max_detections is 0"):
        coco_scores(data_set(), [], max_detections=0)


def test_fractions_are_plain_numbers_for_json():
    scores = coco_scores(data_set(square(1, 0)), [square(1, 0, score=1.0)])["segm"]
    assert all(type(value) is float for value in [*scores.numbers.values(), *scores.per_class["cell"].values()])
    assert not any(isinstance(key, np.integer) for key in scores.per_category)


def test_what_the_model_finds_and_the_data_have_is_scored():
    person, cell = Classes(("person",), (1,), keypoint_schema=COCO_PERSON), Classes(("cell",), (1,))
    everything = ModelSettings(keypoint_head=KeypointHeadSettings())
    assert kinds_of(everything, person) == ["bbox", "segm", "keypoints"]
    assert kinds_of(everything, cell) == ["bbox", "segm"]
    assert kinds_of(ModelSettings(mask_head=None), person) == ["bbox"]


def test_sections_hold_what_evaluation_gives_with_the_rule_and_say_how_far_it_is():
    truth, results, said = data_set(square(1, 0), square(2, 0)), [square(1, 0, score=0.9)], []
    boxes, masks = coco_sections(*parsed(truth, results), say=said.append)
    scores = coco_scores(truth, results)
    assert (boxes.numbers, masks.per_class) == (scores["bbox"].numbers, scores["segm"].per_class)
    assert list(boxes.numbers) == NAMES
    assert boxes.protocol == "COCO AP and AR at IoU 0.50:0.05:0.95, at most 100 detections per image and class"
    assert said == ["boxes: 1 of 1 classes", "masks: 1 of 1 classes"]


def test_boundaries_ask_for_more_than_masks():
    truth = data_set(square(1, 0))
    shifted = square(1, 4, score=0.9)  # mask IoU 36 / 44 = 0.82; rings of 4 px: 216 of 576 px in both, IoU 0.23
    segm, boundary = coco_sections(*parsed(truth, [shifted]), kinds=("segm", "boundary"))
    assert (segm.numbers["AP50"], segm.numbers["AP75"]) == (pytest.approx(1), pytest.approx(1))
    assert boundary.numbers["AP50"] == 0
    assert "the smaller of mask IoU and Boundary IoU" in boundary.protocol
    assert coco_scores(truth, [square(1, 0, score=0.9)], kinds=("boundary",))["boundary"].numbers[
        "AP"
    ] == pytest.approx(1)


def test_names_that_are_shared_get_their_id():
    assert unique_names({1: "cat", 2: "dog", 3: "cat"}) == {1: "cat (1)", 2: "dog", 3: "cat (3)"}
