import numpy as np
import pytest

from maskrcnn.analysis.matching import average_precision, class_precisions, match_results
from tests.builders.scoring import coco_scores, found, truth_of


def slow_ap(hits, positives):
    """COCO's own steps for one class: hits by descending score, objects to be found."""
    if not positives:
        return np.nan
    right, wrong = np.cumsum(hits), np.cumsum(np.logical_not(hits))
    precision = right / (right + wrong + np.spacing(1))
    best = [precision[np.flatnonzero(right / positives >= recall)].max(initial=0) for recall in np.linspace(0, 1, 101)]
    return float(np.mean(best))


def test_the_area_is_that_of_the_official_steps():
    random = np.random.default_rng(0)
    for count in (1, 3, 7, 50, 100, 101, 300):
        hits = random.random(count) < 0.6
        positives = int(hits.sum() + random.integers(0, 5) + 1)
        places = np.flatnonzero(hits)
        right = np.arange(1, len(places) + 1)[:, None]
        area = average_precision(right, places[:, None] + 1, np.array([positives]))
        assert area[0] == pytest.approx(slow_ap(hits, positives), abs=1e-12)


def test_nothing_right_is_0_and_nothing_to_find_is_no_number():
    none = np.zeros((0, 2), dtype=int)
    assert average_precision(none, none, np.array([3, 0])).tolist() == pytest.approx([0, np.nan], nan_ok=True)


def random_run(seed, count):
    random = np.random.default_rng(seed)
    objects, records = [], []
    for image in range(1, count + 1):
        for _ in range(random.integers(0, 5)):
            box, category = [*random.integers(0, 60, 2).tolist(), 20, 20], int(random.integers(1, 3))
            objects.append((image, category, box, int(random.random() < 0.35)))
            for _ in range(random.integers(0, 3)):
                moved = [box[0] + int(random.integers(0, 4)), box[1] + int(random.integers(0, 4)), 20, 20]
                records.append(found(image, int(random.integers(1, 3)), moved, float(random.random())))
    return objects, records


def test_weights_are_copies_of_images():
    objects, records = random_run(1, count=20)
    truth = truth_of(*objects, count=20)
    weights = np.random.default_rng(2).integers(0, 4, (20, 5)).astype(np.int32)
    weighted = dict(class_precisions(truth, match_results(truth, records, "bbox"), weights))
    for column in range(5):
        copies = [image for image in range(1, 21) for _ in range(weights[image - 1, column])]
        copied = truth_of(
            *[(new, *one[1:]) for new, image in enumerate(copies, 1) for one in objects if one[0] == image],
            count=len(copies),
        )
        again = [
            {**one, "image_id": new}
            for new, image in enumerate(copies, 1)
            for one in records
            if one["image_id"] == image
        ]
        official = coco_scores(copied, again, kinds=("bbox",))["bbox"].per_category
        for category, ap in official.items():
            assert np.nan_to_num(weighted[category][:, column].mean(), nan=-1) == pytest.approx(ap, abs=1e-12)


def test_many_weightings_are_worked_on_in_parts(monkeypatch):
    objects, records = random_run(3, count=5)
    truth = truth_of(*objects, count=5)
    matches = match_results(truth, records, "bbox")
    weights = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.int32)
    whole = dict(class_precisions(truth, matches, weights))
    monkeypatch.setattr("maskrcnn.analysis.matching.TOGETHER", 10)
    for category, parts in class_precisions(truth, matches, weights):
        np.testing.assert_array_equal(parts, whole[category])
