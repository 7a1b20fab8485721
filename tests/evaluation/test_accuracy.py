import numpy as np
import pytest
from pycocotools import mask as oracle
from scipy.optimize import linear_sum_assignment

from maskrcnn.evaluation.accuracy import IOUS, best_score_threshold, instance_accuracy
from tests.builders.scoring import coco, parsed


def bar(image_id: int, left: int, right: int, *, category_id: int = 1, **more) -> dict:
    """A bar 10 px high from column `left` to `right`, whose IoUs are those of two intervals."""
    polygon = [[left, 5, right, 5, right, 15, left, 15]]
    return {"image_id": image_id, "category_id": category_id, "segmentation": polygon, **more}


def data_set(*objects: dict) -> dict:
    boxed = [{"bbox": [0, 0, 1, 1], **found} for found in objects]
    return coco(*boxed, size=(20, 100), images=(1, 2), classes={1: "cell", 2: "dust"})


def accuracy(truth: dict, results: list[dict], iou: float, **more) -> float:
    return instance_accuracy(*parsed(truth, results), **({"score_threshold": 0.5} | more), ious=[iou])[iou]


def test_a_pair_a_false_positive_and_a_miss_give_a_third():
    truth = data_set(bar(1, 0, 10), bar(2, 0, 10))
    results = [bar(1, 0, 10, score=0.9), bar(1, 50, 60, score=0.9)]
    assert accuracy(truth, results, 0.5) == pytest.approx(1 / 3)


def test_pairs_need_an_iou_above_the_threshold():
    truth, results = data_set(bar(1, 0, 20)), [bar(1, 10, 20, score=0.9)]  # IoU 0.5
    assert accuracy(truth, results, 0.5) == 0
    assert accuracy(truth, results, 0.49) == 1


def test_an_object_has_one_partner_only():
    truth, results = data_set(bar(1, 0, 10)), 2 * [bar(1, 0, 10, score=0.9)]
    assert accuracy(truth, results, 0.5) == pytest.approx(1 / 2)


def test_as_many_pairs_as_possible_are_made():
    # The first prediction fits both objects, and the left one best; the second fits the left object only.
    truth = data_set(bar(1, 0, 20), bar(1, 6, 26))
    results = [bar(1, 2, 22, score=0.9), bar(1, 0, 18, score=0.8)]
    assert accuracy(truth, results, 0.55) == 1


def test_predictions_below_the_score_threshold_do_not_exist():
    truth, results = data_set(bar(1, 0, 10)), [bar(1, 0, 10, score=0.9), bar(1, 50, 60, score=0.4)]
    assert accuracy(truth, results, 0.5, score_threshold=0.5) == 1
    assert accuracy(truth, results, 0.5, score_threshold=0.4) == pytest.approx(1 / 2)
    assert accuracy(truth, results, 0.5, score_threshold=0.95) == 0


def test_a_pair_needs_the_same_class():
    truth, results = data_set(bar(1, 0, 10)), [bar(1, 0, 10, category_id=2, score=0.9)]
    assert accuracy(truth, results, 0.5) == 0


def test_crowds_are_neither_missed_nor_make_false_positives():
    truth = data_set(bar(1, 0, 10), bar(1, 40, 80, iscrowd=1))
    inside, half_inside = bar(1, 50, 60, score=0.9), bar(1, 35, 45, score=0.9)
    dust = bar(1, 50, 60, category_id=2, score=0.9)
    found = bar(1, 0, 10, score=0.9)
    assert accuracy(truth, [found], 0.5) == 1
    assert accuracy(truth, [found, inside, inside], 0.5) == 1
    assert accuracy(truth, [found, half_inside], 0.5) == pytest.approx(1 / 2)
    assert accuracy(truth, [found, dust], 0.5) == pytest.approx(1 / 2)


def test_a_crowd_does_not_excuse_a_second_prediction_of_an_object_inside_it():
    truth, found = data_set(bar(1, 50, 60), bar(1, 40, 80, iscrowd=1)), bar(1, 50, 60, score=0.9)
    assert accuracy(truth, [found], 0.5) == 1
    assert accuracy(truth, [found, found], 0.5) == pytest.approx(1 / 2)


def test_images_are_pooled_and_can_be_chosen():
    truth = data_set(bar(1, 0, 10), bar(2, 0, 10), bar(2, 20, 30))
    results = [bar(1, 0, 10, score=0.9)]
    assert accuracy(truth, results, 0.5) == pytest.approx(1 / 3)
    assert accuracy(truth, results, 0.5, image_ids=[1]) == 1
    assert accuracy(truth, results, 0.5, image_ids=[2]) == 0


def test_nothing_to_find_and_nothing_found_give_minus_one():
    assert accuracy(data_set(), [], 0.5) == -1
    assert accuracy(data_set(bar(1, 0, 10)), [], 0.5) == 0
    assert accuracy(data_set(), [bar(1, 0, 10, score=0.9)], 0.5) == 0


def test_the_best_score_threshold_keeps_the_right_and_drops_the_wrong():
    truth = data_set(bar(1, 0, 10), bar(2, 0, 10))
    results = [bar(1, 0, 10, score=0.9), bar(2, 0, 10, score=0.62), bar(2, 50, 60, score=0.58)]
    assert best_score_threshold(*parsed(truth, results)) == 0.6
    assert best_score_threshold(*parsed(truth, results), image_ids=[1]) == 0.05
    assert best_score_threshold(*parsed(truth, results), scores=[0.3, 0.7, 0.95]) == 0.3


def random_bars(random: np.random.Generator, count: int, **more) -> list[dict]:
    lefts = random.integers(0, 80, count)
    return [
        bar(int(random.integers(1, 3)), int(x), int(x + random.integers(8, 20)), category_id=int(random.integers(1, 3)))
        | {key: random.random() for key in more}
        for x in lefts
    ]


def assigned(objects: list[dict], predictions: list[dict], iou: float) -> tuple[int, int, int]:
    """TP, FP, FN of one image and class by an assignment with the largest number of pairs."""
    masks = [[oracle.frPyObjects(one["segmentation"], 20, 100)[0] for one in group] for group in (predictions, objects)]
    fits = np.array(oracle.iou(*masks, [0] * len(objects)) > iou) if all(masks) else np.zeros((0, 0))
    pairs = int(fits[linear_sum_assignment(fits, maximize=True)].sum()) if fits.size else 0
    return pairs, len(predictions) - pairs, len(objects) - pairs


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_equals_an_assignment_by_image_and_class(seed):
    random = np.random.default_rng(seed)
    truth, results = data_set(*random_bars(random, 40)), random_bars(random, 60, score=1)
    for iou, found in instance_accuracy(*parsed(truth, results), score_threshold=0.3).items():
        counts = np.zeros(3)
        for key in [(image_id, category) for image_id in (1, 2) for category in (1, 2)]:
            both = [
                [one for one in group if (one["image_id"], one["category_id"]) == key]
                for group in (truth["annotations"], [one for one in results if one["score"] >= 0.3])
            ]
            counts += assigned(both[0], both[1], iou)
        assert found == pytest.approx(counts[0] / counts.sum())
    assert IOUS[0] == 0.5
    assert IOUS[-1] == 0.9
