from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.evaluation.grit import GritAnswer, GritSample, box_score, mask_score, sample_score
from tests.evaluation.test_grit_numbers import check_vector
from tests.evaluation.vectors import load_vector, number, vector_files


@pytest.mark.parametrize("path", vector_files("grit"))
def test_equals_the_official_metric(path: Path):
    vector = load_vector(path)
    if "samples" in vector["input"]:
        check_vector(vector)
    else:
        check_cases(vector)


def check_cases(vector: dict):
    task = "segmentation" if "segmentation" in vector["name"] else "localization"
    scores = [case_score(task, case) for case in vector["input"]["cases"]]
    found = {"scores": scores, "mean": np.mean(scores)}
    for name, expected in vector["expected"].items():
        values = [number(value) for value in expected] if isinstance(expected, list) else number(expected)
        assert found[name] == pytest.approx(values, abs=1e-9), name


def case_score(task: str, case: dict) -> float:
    query = "sky (Stuff)" if case.get("stuff") else "cat"
    return sample_score(task, GritSample("1", query, case["gt"]), GritAnswer(0.5, case["pred"]))


def square(size: int, *, picture: tuple[int, int] = (20, 30)) -> np.ndarray:
    mask = np.zeros(picture, dtype=np.uint8)
    mask[:size, :size] = 1
    return mask


def test_what_stays_alone_counts_against_the_answer():
    boxes = [[0, 0, 10, 10], [20, 20, 30, 30]]
    assert box_score(boxes, boxes) == pytest.approx(1)
    assert box_score(boxes[:1], boxes) == pytest.approx(0.5)
    assert box_score([*boxes, [50, 50, 51, 51]], boxes) == pytest.approx(2 / 3)
    assert box_score([], []) == 1
    assert box_score([], boxes) == box_score(boxes, []) == 0


def test_pairs_are_the_best_in_sum():
    # Each alone would take the first: 0.8 + 0; together 0.7 + 0.6 is more.
    found = [[0, 0, 10, 80], [0, 0, 10, 70]]
    truth = [[0, 0, 10, 100], [0, 0, 10, 112]]
    expected = max(0.8 + 70 / 112, 0.7 + 80 / 112) / 2
    assert box_score(found, truth) == pytest.approx(expected)


def test_a_box_turned_round_has_no_area():
    assert box_score([[10, 10, 0, 0]], [[0, 0, 10, 10]]) == 0


def test_masks_of_stuff_count_together():
    whole = square(10)
    left, right = whole.copy(), whole.copy()
    left[:, 5:], right[:, :5] = 0, 0
    assert mask_score([left, right], [whole], stuff=True) == pytest.approx(1)
    assert mask_score([left, right], [whole], stuff=False) == pytest.approx(0.5 / 2)
    assert mask_score([], [whole], stuff=True) == mask_score([whole], [], stuff=True) == 0
    assert mask_score([], [], stuff=True) == 0
    assert mask_score([], [], stuff=False) == 1


@pytest.mark.parametrize("stuff", [False, True])
def test_masks_of_another_size_are_scaled(stuff: bool):
    assert mask_score([square(4, picture=(10, 15))], [square(8)], stuff=stuff) > 0.75


def test_a_query_says_whether_it_is_of_stuff():
    masks = [coco_mask.encode(np.asfortranarray(square(size))) for size in (4, 8)]
    answer = GritAnswer(0.5, masks)
    assert sample_score("segmentation", GritSample("1", "sky (Stuff)", masks[1:]), answer) == pytest.approx(1)
    assert sample_score("segmentation", GritSample("1", "sky", masks[1:]), answer) == pytest.approx(0.5)
