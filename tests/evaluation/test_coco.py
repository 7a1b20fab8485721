import copy
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.config import KeypointHeadSettings, ModelSettings
from maskrcnn.errors import SettingError
from maskrcnn.evaluation import coco as module
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco import coco_curves, coco_sections, iou_types_of, unique_names
from maskrcnn.evaluation.coco_input import boundary_of
from maskrcnn.structures.classes import COCO_PERSON, Classes
from tests.builders.scoring import coco, coco_scores, parsed
from tests.builders.vectors import load_vector, number, vector_files

FEW = ("coco-ties_crowd_maxdets", "coco-random_det_seed11", "none")
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
AREAS = [(0, 1e10), (0, 1024)]


def square(image_id: int, x: float, side: float = 40, **more) -> dict:
    """An object or a prediction: a square at (x, 10)."""
    polygon = [[x, 10, x + side, 10, x + side, 10 + side, x, 10 + side]]
    return {"image_id": image_id, "category_id": 7, "bbox": [x, 10, side, side], "segmentation": polygon, **more}


def data_set(*objects: dict) -> dict:
    numbered = [{"id": number, **found} for number, found in enumerate(objects, start=1)]
    return coco(*numbered, size=(100, 200), images=(1, 2), classes={7: "cell"})


def precision_of_pycocotools(truth: dict, results: list[dict], iou_type: str, limits: list[int]) -> tuple:
    """Raw precision and recall arrays, from records of one IoU type."""
    annotated = COCO()
    annotated.dataset = copy.deepcopy(truth)
    annotated.createIndex()
    field = {"bbox": "bbox", "segm": "segmentation"}[iou_type]
    records = [{key: record[key] for key in ("image_id", "category_id", "score", field)} for record in results]
    evaluation = COCOeval(annotated, annotated.loadRes(records), iou_type)
    evaluation.params.maxDets = limits
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


@pytest.mark.parametrize("path", vector_files("coco"))
def test_all_numbers_equal_pycocotools_on_the_vectors(path):
    vector = load_vector(path)
    for iou_type, expected in vector["expected"].items():
        scores = coco_scores(vector["input"]["gt"], vector["input"]["dt"], iou_types=[iou_type])[iou_type]
        assert list(scores.numbers) == [name for name in expected if name != "AP_per_category"]
        for name, value in expected.items():
            if name == "AP_per_category":
                per_category = {int(key): number(each) for key, each in value.items()}
                assert scores.per_category == pytest.approx(per_category, abs=1e-9)
            else:
                assert scores.numbers[name] == pytest.approx(number(value), abs=1e-9)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("most", [1, 5, 10, 40, 500])
@pytest.mark.parametrize("path", [path for path in vector_files("coco") if path.id in FEW])
def test_any_number_of_detections_equals_pycocotools(path, most, iou_type, capsys):
    vector = load_vector(path)["input"]
    limits = [limit for limit in (1, 10) if limit < most] + [most]
    precision, recall = precision_of_pycocotools(vector["gt"], vector["dt"], iou_type, limits)
    numbers = coco_scores(vector["gt"], vector["dt"], max_detections=most, iou_types=[iou_type])[iou_type].numbers
    found = precision[:, :, :, 0, -1]
    assert numbers["AP"] == pytest.approx(found[found > -1].mean(), abs=1e-9)
    recalled = recall[:, :, 0, -1]
    assert numbers[f"AR{most}"] == pytest.approx(recalled[recalled > -1].mean(), abs=1e-9)


def test_more_detections_than_100_count_when_they_may():
    truth = data_set(square(1, 100, id=1))
    results = [square(1, 0, side=5, score=0.9) for _ in range(120)] + [square(1, 100, score=0.5)]
    assert coco_scores(truth, results, iou_types=["bbox"])["bbox"].numbers["AP"] == 0
    numbers = coco_scores(truth, results, max_detections=500, iou_types=["bbox"])["bbox"].numbers
    assert numbers["AR500"] == 1
    assert numbers["AP"] == pytest.approx(1 / 121)
    assert "AR100" not in numbers


def test_a_found_and_a_missed_object_give_half():
    truth = data_set(square(1, 0), square(2, 0))
    scores = coco_scores(truth, [square(1, 0, score=0.9)])
    for iou_type in ("bbox", "segm"):
        assert scores[iou_type].numbers["AP50"] == pytest.approx(51 / 101)  # recalls 0 to 0.50 of 101 steps
        assert scores[iou_type].numbers["AR1"] == 0.5
        assert scores[iou_type].per_class["cell"]["AP"] == pytest.approx(51 / 101)
        assert scores[iou_type].per_category == pytest.approx({7: 51 / 101})


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
    assert iou_types_of(everything, person) == ["bbox", "segm", "keypoints"]
    assert iou_types_of(everything, cell) == ["bbox", "segm"]
    assert iou_types_of(ModelSettings(mask_head=None), person) == ["bbox"]


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
    segm, boundary = coco_sections(*parsed(truth, [shifted]), iou_types=("segm", "boundary"))
    assert (segm.numbers["AP50"], segm.numbers["AP75"]) == (pytest.approx(1), pytest.approx(1))
    assert boundary.numbers["AP50"] == 0
    assert "the smaller of mask IoU and Boundary IoU" in boundary.protocol
    assert coco_scores(truth, [square(1, 0, score=0.9)], iou_types=("boundary",))["boundary"].numbers[
        "AP"
    ] == pytest.approx(1)


def test_names_that_are_shared_get_their_id():
    assert unique_names({1: "cat", 2: "dog", 3: "cat"}) == {1: "cat (1)", 2: "dog", 3: "cat (3)"}


def some_data(classes: int = 5) -> tuple:
    """A dataset with unequal classes, one of them empty, and predictions that fit more or less."""
    random = np.random.default_rng(0)
    boxes = np.concatenate([random.uniform(0, 50, (60, 2)), random.uniform(4, 40, (60, 2))], axis=1).round(1)
    objects = [
        {
            "image_id": 1 + n % 3,
            "category_id": int(random.integers(1, classes)),
            "bbox": box.tolist(),
            "iscrowd": n % 9 == 0,
        }
        for n, box in enumerate(boxes)
    ]
    results = []
    for found in [*objects, *objects[::2]]:
        x, y, width, height = found["bbox"] + random.normal(0, 1, 4) * [3, 3, 0, 0]
        polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
        place = {"bbox": [x, y, width, height], "segmentation": [polygon]}
        results.append({"image_id": found["image_id"], "category_id": found["category_id"], **place})
        results[-1]["score"] = round(float(random.random()), 1)
    names = {n: str(n) for n in range(classes, 0, -1)}
    return parsed(coco(*objects, size=(90, 120), images=(3, 1, 2), classes=names), results)


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "boundary"])
def test_classes_in_blocks_give_what_all_at_once_give(iou_type, monkeypatch):
    truth, results = some_data()
    done = []
    whole = coco_curves(truth, results, iou_type, AREAS, [1, 100], done.append)
    monkeypatch.setattr(module, "BLOCK", 25)
    parts = coco_curves(truth, results, iou_type, AREAS, [1, 100], done.append)
    assert whole.precision.shape == (10, 101, 5, 2, 2)
    assert whole.recall.shape == (10, 5, 2, 2)
    assert np.array_equal(whole.precision, parts.precision)
    assert np.array_equal(whole.recall, parts.recall)
    assert (whole.recall[:, 4] == -1).all()
    assert 0 < whole.precision[:, :, :4].mean() < 1
    assert done[0] == done[-1] == 5
    assert len(done) > 3


def decode(mask: dict) -> np.ndarray:
    from pycocotools import mask as oracle

    return oracle.decode(mask).astype(bool)


def slow_similarity(found: np.ndarray, known: np.ndarray, crowd: bool, size: tuple[int, int]) -> float:
    """Of masks as pixels; of a crowd only the mask counts, by the detection's own area."""
    common = (found & known).sum()
    if crowd:
        return common / found.sum()
    edges = [decode(boundary_of(encode(mask), size)) for mask in (found, known)]
    return min(common / (found | known).sum(), (edges[0] & edges[1]).sum() / (edges[0] | edges[1]).sum())


def encode(mask: np.ndarray) -> dict:
    from pycocotools import mask as oracle

    return oracle.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_boundaries_match_by_the_smaller_of_both_similarities():
    truth, results = some_data(2)
    size = (90, 120)
    recalls = coco_curves(truth, results, "boundary", AREAS[:1], [100], print).recall[:, 0, 0, 0]
    hits, positives = np.zeros(10), 0
    for image_id in (1, 2, 3):
        objects = [one for one in truth.objects if one["image_id"] == image_id]
        masks = [decode(mask) for mask, one in zip(truth.masks, truth.objects, strict=True) if one in objects]
        found = sorted((one for one in results if one["image_id"] == image_id), key=lambda one: -one["score"])
        table = [
            [
                slow_similarity(decode(one["segmentation"]), mask, bool(other["iscrowd"]), size)
                for mask, other in zip(masks, objects, strict=True)
            ]
            for one in found
        ]
        positives += sum(not other["iscrowd"] for other in objects)
        for step, threshold in enumerate(np.linspace(0.5, 0.95, 10)):
            taken = set()
            for row in table:
                free = [
                    (s, n) for n, s in enumerate(row) if s >= threshold and n not in taken and not objects[n]["iscrowd"]
                ]
                if free:
                    taken.add(max(free)[1])
            hits[step] += len(taken)
    assert recalls == pytest.approx(hits / positives, abs=1e-12)


def test_a_data_set_without_classes_has_no_curves():
    truth = Annotations.parse({"images": [], "categories": [], "annotations": []})
    assert coco_curves(truth, [], "bbox", AREAS, [1, 10], print).precision.shape == (10, 101, 0, 2, 2)
