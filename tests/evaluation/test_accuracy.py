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


ONE, HIGH = bar(1, 0, 10), {"score": 0.9}
FOUND, DOUBLE = bar(1, 0, 10, **HIGH), 2 * [bar(1, 0, 10, **HIGH)]
CROWD = bar(1, 40, 80, iscrowd=1)
INSIDE, HALF_INSIDE = bar(1, 50, 60, **HIGH), bar(1, 35, 45, **HIGH)


@pytest.mark.parametrize(
    ("objects", "results", "iou", "score_threshold", "expected"),
    [
        pytest.param([ONE, bar(2, 0, 10)], [FOUND, INSIDE], 0.5, 0.5, 1 / 3, id="a pair, a false positive, a miss"),
        pytest.param([bar(1, 0, 20)], [bar(1, 10, 20, **HIGH)], 0.5, 0.5, 0, id="an IoU at the threshold"),
        pytest.param([bar(1, 0, 20)], [bar(1, 10, 20, **HIGH)], 0.49, 0.5, 1, id="an IoU above the threshold"),
        pytest.param([ONE], DOUBLE, 0.5, 0.5, 1 / 2, id="an object has one partner only"),
        # The first prediction fits both objects, and the left one best; the second fits the left object only.
        pytest.param(
            *([bar(1, 0, 20), bar(1, 6, 26)], [bar(1, 2, 22, **HIGH), bar(1, 0, 18, score=0.8)], 0.55, 0.5, 1),
            id="as many pairs as possible",
        ),
        pytest.param([ONE], [FOUND, bar(1, 50, 60, score=0.4)], 0.5, 0.5, 1, id="below the score threshold"),
        pytest.param([ONE], [FOUND, bar(1, 50, 60, score=0.4)], 0.5, 0.4, 1 / 2, id="at the score threshold"),
        pytest.param([ONE], [FOUND], 0.5, 0.95, 0, id="all below the score threshold"),
        pytest.param([ONE], [bar(1, 0, 10, category_id=2, **HIGH)], 0.5, 0.5, 0, id="another class"),
        pytest.param([ONE, CROWD], [FOUND], 0.5, 0.5, 1, id="a crowd is not missed"),
        pytest.param([ONE, CROWD], [FOUND, INSIDE, INSIDE], 0.5, 0.5, 1, id="nothing in a crowd is wrong"),
        pytest.param([ONE, CROWD], [FOUND, HALF_INSIDE], 0.5, 0.5, 1 / 2, id="half in a crowd"),
        pytest.param(
            [ONE, CROWD], [FOUND, {**INSIDE, "category_id": 2}], 0.5, 0.5, 1 / 2, id="a crowd of another class"
        ),
        pytest.param([bar(1, 50, 60), CROWD], [INSIDE], 0.5, 0.5, 1, id="an object in a crowd"),
        pytest.param([bar(1, 50, 60), CROWD], [INSIDE, INSIDE], 0.5, 0.5, 1 / 2, id="an object in a crowd found twice"),
        pytest.param([], [], 0.5, 0.5, -1, id="nothing to find and nothing found"),
        pytest.param([ONE], [], 0.5, 0.5, 0, id="nothing found"),
        pytest.param([], [FOUND], 0.5, 0.5, 0, id="nothing to find"),
    ],
)
def test_accuracy_counts_pairs_by_what_stays_alone(objects, results, iou, score_threshold, expected):
    found = accuracy(data_set(*objects), results, iou, score_threshold=score_threshold)
    assert found == pytest.approx(expected)


def test_images_are_pooled_and_can_be_chosen():
    truth = data_set(bar(1, 0, 10), bar(2, 0, 10), bar(2, 20, 30))
    results = [bar(1, 0, 10, score=0.9)]
    assert accuracy(truth, results, 0.5) == pytest.approx(1 / 3)
    assert accuracy(truth, results, 0.5, image_ids=[1]) == 1
    assert accuracy(truth, results, 0.5, image_ids=[2]) == 0


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
