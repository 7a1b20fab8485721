import numpy as np
import pytest

from maskrcnn.analysis.matching import average_precision, class_precisions, image_overlaps, match_results
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.coco import AREAS, KEYPOINT_AREAS
from tests.builders.scoring import coco_scores, found, truth_of
from tests.builders.vectors import load_vector, vector_files


@pytest.mark.parametrize("path", vector_files("coco"))
def test_ap_from_matches_is_that_of_the_official_evaluation_in_every_range_of_areas(path):
    vector = load_vector(path)
    truth, records = Annotations.parse(vector["input"]["gt"]), vector["input"]["dt"]
    for iou_type in vector["expected"]:
        scores = coco_scores(truth, records, iou_types=(iou_type,))[iou_type]
        for name, area in (KEYPOINT_AREAS if iou_type == "keypoints" else AREAS).items():
            matches = match_results(truth, records, iou_type, area=area)
            once = np.ones((len(matches.image_ids), 1), dtype=np.int32)
            found = {category: ap[:, 0].mean() for category, ap in class_precisions(truth, matches, once)}
            there = [ap for ap in found.values() if not np.isnan(ap)]
            assert (np.mean(there) if there else -1) == pytest.approx(scores.numbers[f"AP{name}"], abs=1e-12)
            if not name:
                assert np.nan_to_num(list(found.values()), nan=-1) == pytest.approx(
                    [scores.per_category[category] for category in found], abs=1e-12
                )


def test_a_detection_takes_the_free_object_of_its_class_that_it_fits_best():
    truth = truth_of((1, 1, [0, 0, 10, 10], 0), (1, 1, [0, 0, 10, 8], 0), (1, 2, [0, 0, 10, 9], 0))
    records = [found(1, 1, [0, 0, 10, 9], 0.5), found(1, 1, [0, 0, 10, 10], 0.9), found(1, 2, [50, 50, 9, 9], 0.7)]
    matches = match_results(truth, records, "bbox", thresholds=(0.5, 0.85, 0.95))
    assert matches.detections.tolist() == [1, 2, 0]
    # IoU of the last one with the object that is left: 80 / 90 = 0.89.
    assert matches.partners.tolist() == [[0, -1, 1], [0, -1, 1], [0, -1, -1]]
    assert not matches.ignored.any()


def test_of_two_objects_that_fit_alike_the_last_is_taken_as_pycocotools_does():
    truth = truth_of((1, 1, [0, 0, 10, 10], 0), (1, 1, [0, 0, 10, 10], 0))
    records = [found(1, 1, [0, 0, 10, 10], 0.9), found(1, 1, [0, 0, 10, 10], 0.8), found(1, 1, [0, 0, 10, 10], 0.8)]
    assert match_results(truth, records, "bbox", thresholds=(0.5, 1)).partners.tolist() == [[1, 0, -1]] * 2


def test_a_crowd_takes_any_number_of_detections_that_fit_nothing_else_and_ignores_them():
    truth = truth_of((1, 1, [0, 0, 50, 50], 1), (1, 1, [0, 0, 20, 20], 0))
    records = [found(1, 1, [0, 0, 20, side], 0.9 - side / 100) for side in (20, 18, 10)]
    matches = match_results(truth, records, "bbox", thresholds=(0.5,))
    assert matches.partners.tolist() == [[1, 0, 0]]
    assert matches.ignored.tolist() == [[False, True, True]]
    assert matches.counted.tolist() == [False, True]


def test_detections_and_objects_of_other_areas_do_not_count_but_those_at_both_ends_do():
    truth = truth_of((1, 1, [0, 0, 10, 10], 0), (1, 1, [50, 50, 40, 40], 0))
    records = [
        found(1, 1, [50, 50, 40, 40], 0.9),
        found(1, 1, [20, 20, 40, 20], 0.8),
        found(1, 1, [0, 50, 5, 5], 0.7),
        found(1, 1, [0, 0, 10, 10], 0.6),
    ]
    matches = match_results(truth, records, "bbox", thresholds=(0.5,), area=(25, 100))
    assert matches.ignored.tolist() == [[True, True, False, False]]
    assert matches.counted.tolist() == [True, False]


def test_only_the_best_detections_of_each_class_in_each_image_count():
    truth = truth_of((1, 1, [0, 0, 10, 10], 0), count=2)
    records = [found(image, n % 2 + 1, [0, 0, 10, 10], n / 10) for image in (1, 2) for n in range(6)]
    matches = match_results(truth, records, "bbox", max_detections=1)
    assert matches.scores.tolist() == [0.5, 0.4, 0.5, 0.4]
    assert matches.images.tolist() == [0, 0, 1, 1]


def test_fits_of_other_classes_are_known_but_never_matched():
    truth = truth_of((1, 2, [0, 0, 10, 10], 0))
    records = [found(1, 1, [0, 0, 10, 10], 0.9)]
    image = next(image_overlaps(truth, records, "bbox"))
    assert image.ious.tolist() == [[1.0]]
    assert not image.same.any()
    assert match_results(truth, records, "bbox").partners.max() == -1


def test_nothing_matches_nothing():
    for truth in (truth_of(count=0), truth_of(), truth_of((1, 1, [0, 0, 10, 10], 0))):
        matches = match_results(truth, [], "bbox")
        assert matches.partners.shape == matches.ignored.shape == (10, 0)
        assert matches.counted.shape == (len(truth.objects),)


def test_every_image_is_reported():
    reported = []
    match_results(truth_of(count=3), [], "bbox", on_progress=reported.append)
    assert reported == [1, 1, 1]


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


def copied(objects, records, copies):
    """Truth and predictions in which each image is there so many times."""
    images = [image for image, count in enumerate(copies, 1) for _ in range(count)]
    content = [(new, *one[1:]) for new, image in enumerate(images, 1) for one in objects if one[0] == image]
    again = [
        {**one, "image_id": new} for new, image in enumerate(images, 1) for one in records if one["image_id"] == image
    ]
    return truth_of(*content, count=len(images)), again


def test_weights_are_copies_of_images():
    objects, records = random_run(1, count=20)
    truth = truth_of(*objects, count=20)
    weights = np.random.default_rng(2).integers(0, 4, (20, 5)).astype(np.int32)
    weighted = dict(class_precisions(truth, match_results(truth, records, "bbox"), weights))
    for column in range(5):
        again = copied(objects, records, weights[:, column])
        official = coco_scores(*again, iou_types=("bbox",))["bbox"].per_category
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
