import numpy as np
import pytest

from maskrcnn.analysis.faults import FAULTS, IGNORED, RIGHT, best_score, find_faults
from tests.builders.scoring import found, truth_of

CAT, DOG = 1, 2


def faults_of(objects, records, **options):
    return find_faults(truth_of(*objects), records, "bbox", **options)


def named(detected):
    """Faults in words, in the order of the results."""
    words = {RIGHT: "right", IGNORED: "ignored", **dict(enumerate(FAULTS))}
    by_place = dict(zip(detected.detections.tolist(), detected.faults.tolist()))
    return [words[by_place[place]] for place in sorted(by_place)]


@pytest.mark.parametrize(
    ("category", "box", "fault", "missed"),
    [
        (CAT, [0, 0, 20, 10], "right", 0),
        (CAT, [0, 0, 20, 9], "right", 0),
        (DOG, [0, 0, 20, 10], "classification", 0),
        (CAT, [0, 0, 9, 10], "localization", 0),
        (CAT, [0, 0, 2, 10], "localization", 0),
        (CAT, [0, 0, 1, 10], "background", 1),
        (DOG, [0, 0, 9, 10], "class_and_place", 1),
        (CAT, [50, 50, 20, 10], "background", 1),
    ],
)
def test_each_kind_of_error_is_separated_from_the_others(category, box, fault, missed):
    detected = faults_of([(1, CAT, [0, 0, 20, 10], 0)], [found(1, category, box, 0.9)])
    assert named(detected) == [fault]
    assert detected.missed.sum() == missed
    assert detected.objects.tolist() == ([-1] if missed else [0])


def test_the_second_detection_of_an_object_is_a_duplicate():
    records = [found(1, CAT, [0, 0, 20, 9], 0.5), found(1, CAT, [0, 0, 20, 10], 0.9)]
    detected = faults_of([(1, CAT, [0, 0, 20, 10], 0)], records)
    assert named(detected) == ["duplicate", "right"]
    assert detected.objects.tolist() == [0, 0]


def test_a_wrong_place_at_the_own_class_comes_before_a_wrong_class():
    objects = [(1, CAT, [0, 0, 20, 10], 0), (1, DOG, [0, 0, 8, 10], 0)]
    assert named(faults_of(objects, [found(1, CAT, [0, 0, 8, 10], 0.9)])) == ["localization"]


def test_detections_in_a_crowd_are_ignored_and_a_crowd_is_never_missed():
    detected = faults_of([(1, CAT, [0, 0, 50, 50], 1)], [found(1, CAT, [5, 5, 10, 10], 0.9)])
    assert named(detected) == ["ignored"]
    assert not detected.counted.any()
    assert not detected.missed.any()


def test_below_a_score_objects_are_missed():
    objects = [(1, CAT, [0, 0, 20, 10], 0), (1, DOG, [50, 50, 20, 10], 0), (1, DOG, [0, 50, 20, 10], 0)]
    records = [found(1, CAT, [0, 0, 20, 10], 0.5), found(1, CAT, [50, 50, 20, 10], 0.8)]
    detected = faults_of(objects, records)
    assert detected.missed.tolist() == [False, False, True]
    assert detected.missed_from(0.6).tolist() == [True, False, True]
    assert detected.found.tolist() == [True, False, False]


def test_the_limits_can_be_others():
    objects, records = [(1, CAT, [0, 0, 20, 10], 0)], [found(1, CAT, [0, 0, 12, 10], 0.9)]
    assert named(faults_of(objects, records)) == ["right"]
    assert named(faults_of(objects, records, iou=0.7)) == ["localization"]
    assert named(faults_of(objects, records, iou=0.7, background=0.65)) == ["background"]


def test_the_best_score_has_the_best_f1():
    objects = [(1, CAT, [30 * n, 0, 20, 10], 0) for n in range(3)]
    places = [(0, 0.9), (30, 0.8), (200, 0.7), (60, 0.6), (300, 0.5)]
    detected = faults_of(objects, [found(1, CAT, [x, 0, 20, 10], score) for x, score in places])
    # F1 after each: 2/4, 4/5, 4/6, 6/7, 6/8.
    assert best_score(detected) == 0.6


def test_equal_scores_stay_together():
    objects = [(1, CAT, [0, 0, 20, 10], 0), (1, CAT, [30, 0, 20, 10], 0)]
    records = [found(1, CAT, [x, 0, 20, 10], score) for x, score in [(0, 0.9), (30, 0.5), (200, 0.5), (300, 0.5)]]
    # F1 is 2/3 after the first, 4/6 after all four, but would be 1 after two.
    assert best_score(faults_of(objects, records)) == 0.9


def test_nothing_found_or_annotated_is_fine():
    nothing = faults_of([], [])
    assert best_score(nothing) == 1
    assert len(nothing.faults) == len(nothing.missed) == 0
    assert faults_of([(1, CAT, [0, 0, 20, 10], 0)], []).missed.all()
    assert named(faults_of([], [found(1, CAT, [0, 0, 20, 10], 0.9)])) == ["background"]


def test_every_image_is_reported():
    reported = []
    find_faults(truth_of(count=3), [], "bbox", on_progress=reported.append)
    assert np.sum(reported) == 3
