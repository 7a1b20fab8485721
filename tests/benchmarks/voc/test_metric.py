import math

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.benchmarks.voc.metric import POINTS, devkit_matches, sds_matches, voc_box_section, voc_mask_sections
from tests.builders.scoring import coco, notched, parsed

SIDE = 60


def thing(image_id: int, box: list[int], category_id: int = 1, **more) -> dict:
    return {"image_id": image_id, "category_id": category_id, "bbox": box, "segmentation": notched(SIDE, box), **more}


def data_set(*objects: dict, count: int = 2) -> dict:
    return coco(*objects, size=(SIDE, SIDE), images=range(1, count + 1), classes={1: "cat", 2: "dog"})


def random_case(seed: int) -> tuple[dict, list[dict]]:
    """Four images, with equal scores, duplicates and difficult objects; sides that make IoUs of exactly one half."""
    generator = np.random.default_rng(seed)

    def box() -> list[int]:
        x, y = (10 * generator.integers(0, 5, 2)).tolist()
        return [x, y, *(10 * generator.integers(1, 6 - np.array([x, y]) // 10 + 1)).tolist()]

    objects, results = [], []
    for image_id in range(1, 5):
        for _ in range(generator.integers(1, 6)):
            difficult = int(generator.random() < 0.25)
            objects.append(thing(image_id, box(), int(generator.integers(1, 3)), difficult=difficult))
        for found in [*objects[-3:], *[thing(image_id, box()) for _ in range(6)]]:
            score = round(float(generator.random()), 1)
            results.append(thing(image_id, found["bbox"], int(generator.integers(1, 3)), score=score))
    return data_set(*objects, count=4), results


def matlab_points() -> list[float]:
    """0:0.1:1 of MATLAB: the lower half counts from 0, the upper one from 1."""
    return [0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 1 - 0.4, 1 - 3 * 0.1, 0.8, 0.9, 1]


def vocap(recall: list[float], precision: list[float], points: list[float] | None) -> float:
    """VOCap.m: with eleven points (2007), or the area (2010), sentinels and all."""
    if points is not None:
        return sum(max((p for r, p in zip(recall, precision, strict=True) if r >= t), default=0) for t in points) / 11
    recalls, precisions = [0, *recall, 1], [0, *precision, 0]
    for i in range(len(precisions) - 2, -1, -1):
        precisions[i] = max(precisions[i], precisions[i + 1])
    return sum((recalls[i] - recalls[i - 1]) * precisions[i] for i in range(1, len(recalls)))


def vocevaldet(truth: dict, results: list[dict], category: int, points: list[float] | None) -> float:
    """VOCevaldet.m in its own coordinates: whole pixels from 1, the last one inside, 1 added to every side."""

    def corners(one: dict) -> list[float]:
        x, y, width, height = one["bbox"]
        return [x + 1, y + 1, x + width, y + height]

    objects = [one for one in truth["annotations"] if one["category_id"] == category]
    found = sorted((one for one in results if one["category_id"] == category), key=lambda one: -one["score"])
    detected, right, wrong, recall, precision = set(), 0, 0, [], []
    positives = sum(not one["difficult"] for one in objects)
    for record in found:
        x1, y1, x2, y2 = corners(record)
        most, match = -math.inf, None
        for place, one in enumerate(objects):
            if one["image_id"] != record["image_id"]:
                continue
            left, top, right_, bottom = corners(one)
            width, height = min(x2, right_) - max(x1, left) + 1, min(y2, bottom) - max(y1, top) + 1
            if width > 0 and height > 0:
                union = (x2 - x1 + 1) * (y2 - y1 + 1) + (right_ - left + 1) * (bottom - top + 1) - width * height
                if width * height / union > most:
                    most, match = width * height / union, place
        if most >= 0.5:
            if not objects[match]["difficult"]:
                right, wrong = (right, wrong + 1) if match in detected else (right + 1, wrong)
                detected.add(match)
        else:
            wrong += 1
        recall.append(right / positives)
        precision.append(right / max(right + wrong, 1))
    return vocap(recall, precision, points)


def reference_masks(truth: dict, results: list[dict], category: int, threshold: float, rule: str) -> float:
    """AP^r: of generalized_det_eval.m and get_ap.m ("sds"), or of voc_eval_sds ("mnc")."""
    objects = [one for one in truth["annotations"] if one["category_id"] == category]
    found = [one for one in results if one["category_id"] == category]
    found.sort(key=lambda one: (-one["score"], one["image_id"]))
    taken, right, recall, precision = set(), 0, [], []
    for number, record in enumerate(found, start=1):
        ious = {
            place: coco_mask.iou([record["segmentation"]], [one["segmentation"]], [0])[0, 0]
            for place, one in enumerate(objects)
            if one["image_id"] == record["image_id"] and not (rule == "sds" and place in taken)
        }
        best = max(ious, key=lambda place: ious[place], default=None)
        fits = best is not None and (ious[best] > threshold if rule == "sds" else ious[best] >= threshold)
        right += fits and best not in taken
        if fits:
            taken.add(best)
        recall.append(right / len(objects))
        precision.append(right / number)
    return vocap(recall, precision, None if rule == "sds" else np.arange(0.0, 1.1, 0.1).tolist())


@pytest.mark.parametrize("seed", range(8))
def test_boxes_equal_the_development_kit_step_by_step(seed):
    truth, results = random_case(seed)
    section = voc_box_section(*parsed(truth, results), eleven_points=False)
    for category, name in ((1, "cat"), (2, "dog")):
        row = section.per_class[name]
        assert row["AP50 (area)"] == pytest.approx(vocevaldet(truth, results, category, None), abs=1e-12)
        assert row["AP50 (11 points)"] == pytest.approx(
            vocevaldet(truth, results, category, matlab_points()), abs=1e-12
        )


@pytest.mark.parametrize("seed", range(8))
def test_masks_equal_both_rules_step_by_step(seed):
    truth, results = random_case(seed)
    results = [results[place] for place in np.random.default_rng(seed).permutation(len(results))]
    for one in truth["annotations"]:
        one["difficult"] = 0
    sds, mnc = voc_mask_sections(*parsed(truth, results))
    means = np.zeros(9)
    for category, name in ((1, "cat"), (2, "dog")):
        every = [reference_masks(truth, results, category, 0.1 * n, "sds") for n in range(1, 10)]
        slow = {"APr50": every[4], "APr70": every[6], "APr_vol": sum(every) / 9}
        assert sds.per_class[name] == pytest.approx(slow, abs=1e-12)
        means += np.array(every) / 2
        for key, threshold in (("APr50", 0.5), ("APr70", 0.7)):
            slow = reference_masks(truth, results, category, threshold, "mnc")
            assert mnc.per_class[name][key] == pytest.approx(slow, abs=1e-12)
    assert [sds.numbers[f"APr{10 * n}"] for n in range(1, 10)] == pytest.approx(means, abs=1e-12)


def test_the_recalls_of_2007_count_from_both_ends():
    assert POINTS.tolist() == matlab_points()
    truth = data_set(*[thing(1, [10 * n, 0, 10, 10]) for n in range(5)])
    results = [thing(1, [10 * n, 0, 10, 10], score=0.9) for n in range(3)]
    numbers = voc_box_section(*parsed(truth, results), eleven_points=True).numbers
    assert numbers == {"AP50 (11 points)": 7 / 11, "AP50 (area)": pytest.approx(0.6), "recall": 0.6}
    mnc = voc_mask_sections(*parsed(truth, results))[1]
    assert mnc.numbers["APr50"] == pytest.approx(6 / 11)  # 3 / 5 is below NumPy's 0.6000000000000001


def test_an_iou_of_one_half_is_found_by_the_kit_and_not_by_sds():
    half = [np.array([0.5])]
    assert devkit_matches([1], half, {1: [False]}, 0.5).tolist() == [True]
    assert sds_matches([1], half, 0.5).tolist() == [False]


def test_a_second_detection_of_the_best_object_is_wrong_though_another_would_fit():
    overlaps = [np.array([0.9, 0.6]), np.array([0.8, 0.7])]
    assert devkit_matches([1, 1], overlaps, {1: [False, False]}, 0.5).tolist() == [True, False]
    assert sds_matches([1, 1], overlaps, 0.5).tolist() == [True, True]


def test_detections_on_difficult_objects_do_not_count():
    overlaps = [np.array([0.9]), np.array([0.9]), np.array([0.1])]
    assert devkit_matches([1, 1, 1], overlaps, {1: [True]}, 0.5).tolist() == [False]
    truth = data_set(thing(1, [0, 0, 10, 10], difficult=1), thing(2, [0, 0, 10, 10]))
    results = [thing(1, [0, 0, 10, 10], score=0.9), thing(2, [0, 0, 10, 10], score=0.5)]
    assert voc_box_section(*parsed(truth, results), eleven_points=True).numbers["AP50 (area)"] == 1


def test_classes_without_objects_are_left_out_of_the_mean():
    truth = data_set(thing(1, [0, 0, 10, 10]))
    section = voc_box_section(*parsed(truth, [thing(1, [0, 0, 10, 10], score=0.5)]), eleven_points=True)
    assert section.numbers["AP50 (11 points)"] == 1
    assert section.per_class["dog"] == dict.fromkeys(("AP50 (11 points)", "AP50 (area)", "recall"))


def test_no_predictions_give_zero_and_no_objects_nothing():
    truth = data_set(thing(1, [0, 0, 10, 10]))
    assert set(voc_box_section(*parsed(truth, []), eleven_points=False).numbers.values()) == {0}
    assert {value for section in voc_mask_sections(*parsed(truth, [])) for value in section.numbers.values()} == {0}
    empty = data_set()
    records = [thing(1, [0, 0, 10, 10], score=0.5)]
    assert set(voc_box_section(*parsed(empty, records), eleven_points=False).numbers.values()) == {None}
    assert {value for section in voc_mask_sections(*parsed(empty, records)) for value in section.numbers.values()} == {
        None
    }


def test_the_years_own_number_comes_first_and_classes_are_said():
    said: list[str] = []
    truth = data_set()
    assert (
        next(iter(voc_box_section(*parsed(truth, []), eleven_points=True, say=said.append).numbers))
        == "AP50 (11 points)"
    )
    assert next(iter(voc_box_section(*parsed(truth, []), eleven_points=False).numbers)) == "AP50 (area)"
    assert said == ["boxes: cat", "boxes: dog"]
    assert [*voc_mask_sections(*parsed(truth, []))[0].numbers][:3] == ["APr50", "APr70", "APr_vol"]
