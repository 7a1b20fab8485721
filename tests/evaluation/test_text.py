import numpy as np
import pytest

from maskrcnn.evaluation.text import (
    MMOCR_THRESHOLDS,
    TextImage,
    best_threshold,
    ctw1500_score,
    icdar2015_score,
    mmocr_scores,
)
from tests.builders.vectors import load_vector, vector_files


def bar(left, right, top=0, bottom=10):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def image(words, found, scores=None, ignored=None):
    return TextImage(words, ignored or [False] * len(words), found, scores or [0.95] * len(found))


def mmocr(*images, **more):
    scores = mmocr_scores(images, **more)
    return scores[best_threshold(scores)]


def polygons(objects):
    return [np.reshape(one["polygon"], (-1, 2)) for one in objects]


def assert_same(score, expected):
    assert score._asdict() == pytest.approx(expected, abs=1e-9)


OFFICIAL = {
    "icdar_official_all_predictions": (icdar2015_score, 0),
    "icdar_official_score>=0.5": (icdar2015_score, 0.5),
    "ctw_official_v1_all_gt_care_all_predictions": (ctw1500_score, 0),
}


@pytest.mark.parametrize("path", vector_files("icdar2015", "ctw1500"))
def test_scores_are_those_of_the_official_evaluators(path):
    vector = load_vector(path)
    images = [
        TextImage(
            polygons(one["gt"]),
            [word["ignore"] for word in one["gt"]],
            polygons(one["pred"]),
            [found["score"] for found in one["pred"]],
        )
        for one in vector["input"]["images"]
    ]
    expected = vector["expected"]
    assert set(expected) <= {"mmocr", "mmocr_max_matching", *OFFICIAL}
    scores = mmocr_scores(images)
    assert {f"{threshold:.1f}" for threshold in scores} == set(expected["mmocr"]["per_score_threshold"])
    for threshold, score in scores.items():
        assert_same(score, expected["mmocr"]["per_score_threshold"][f"{threshold:.1f}"])
    assert_same(scores[best_threshold(scores)], expected["mmocr"]["best"])
    assert_same(mmocr(*images, matching="most"), expected["mmocr_max_matching"])
    for name in set(expected) & set(OFFICIAL):
        compute, least = OFFICIAL[name]
        assert_same(compute(images, score_threshold=least), expected[name])


RULES = [mmocr, lambda *images: icdar2015_score(images), lambda *images: ctw1500_score(images)]


@pytest.mark.parametrize("rule", RULES)
def test_a_word_found_one_missed_and_one_invented(rule):
    assert rule(image([bar(0, 100), bar(200, 300)], [bar(1, 100), bar(400, 500), bar(600, 700)])) == pytest.approx(
        (1 / 3, 1 / 2, 2 / 5)
    )


@pytest.mark.parametrize("rule", RULES)
def test_counts_are_pooled_over_images(rule):
    both = [image([bar(0, 100)], [bar(0, 100)]), image([bar(0, 100), bar(0, 100, 50, 60), bar(0, 9, 80, 90)], [])]
    assert rule(*both) == pytest.approx((1, 1 / 4, 2 / 5))


@pytest.mark.parametrize("rule", RULES)
def test_an_overlap_of_exactly_one_half_is_too_little(rule):
    assert rule(image([bar(0, 100)], [bar(0, 50)])).hmean == 0
    assert rule(image([bar(0, 100)], [bar(0, 51)])).hmean == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_word_is_found_once(rule):
    assert rule(image([bar(0, 100)], [bar(0, 100), bar(0, 100)])).precision == 0.5


@pytest.mark.parametrize("rule", RULES[:2])
def test_what_lies_on_an_ignored_word_counts_nothing(rule):
    ignored = image([bar(0, 100), bar(200, 300)], [bar(0, 100), bar(210, 270), bar(250, 350)], ignored=[False, True])
    assert rule(ignored) == pytest.approx((1 / 2, 1, 2 / 3))  # the last one lies on it with exactly one half


def test_ctw1500_looks_for_every_word():
    assert ctw1500_score([image([bar(0, 100)], [bar(0, 100)], ignored=[True])]) == (1, 1, 1)


def test_pairs_are_made_in_the_order_of_the_words_or_as_many_as_possible():
    crossing = image([bar(100, 200), bar(140, 240)], [bar(120, 220), bar(80, 180)])
    assert mmocr(crossing).recall == 0.5
    assert mmocr(crossing, matching="most").recall == 1


def test_ctw1500_gives_each_text_to_the_word_it_overlaps_most():
    # The first text fits both words and takes the second, which it overlaps more; the other rules give it the first.
    words, found = [bar(0, 100), bar(10, 110)], [bar(10, 112), bar(10, 109)]
    assert ctw1500_score([image(words, found)]).recall == 0.5
    assert icdar2015_score([image(words, found)]).recall == 1


def test_mmocr_s_thresholds_are_seven_and_compare_single_with_double_precision():
    assert len(MMOCR_THRESHOLDS) == 7
    scores = mmocr_scores([image([bar(0, 100)], [bar(0, 100)], [0.7])])
    assert [score.recall for score in scores.values()] == [1, 1, 1, 1, 0, 0, 0]
    assert best_threshold(scores) == 0.3
    assert mmocr(image([bar(0, 100)], [bar(0, 100)], [0.29])).hmean == 0


def test_mmocr_s_threshold_is_the_one_with_the_best_mean():
    scores = mmocr_scores([image([bar(0, 100)], [bar(0, 100), bar(300, 400)], [0.65, 0.45])])
    assert best_threshold(scores) == pytest.approx(0.5)


def test_the_official_script_counts_all_that_is_submitted():
    unsure = image([bar(0, 100)], [bar(0, 100), bar(300, 400)], [0.9, 0.1])
    assert icdar2015_score([unsure]).precision == 0.5
    assert icdar2015_score([unsure], score_threshold=0.9).precision == 1
    assert ctw1500_score([unsure], score_threshold=0.9).precision == 1


def test_the_official_script_cuts_coordinates_to_whole_pixels():
    assert icdar2015_score([image([bar(0, 2)], [bar(0, 1.9)])]).hmean == 0
    assert mmocr(image([bar(0, 2)], [bar(0, 1.9)])).hmean == 1


def test_polygons_that_cross_themselves_are_repaired_or_left_out():
    spur = np.array([[0, 0], [100, 0], [100, 5], [150, 5], [100, 5], [100, 10], [0, 10]])
    crossed = image([bar(0, 100)], [spur])
    assert mmocr(crossed) == icdar2015_score([crossed]) == (1, 1, 1)
    assert ctw1500_score([crossed]) == (0, 0, 0)


def test_empty_data_sets_and_images():
    nothing = image([], [])
    for images in ([], [nothing]):
        assert mmocr(*images) == (1, 1, 1)
        assert icdar2015_score(images) == ctw1500_score(images) == (0, 0, 0)
    assert mmocr(image([], [bar(0, 9)])) == (0, 1, 0)
    assert ctw1500_score([image([], [bar(0, 9)])]) == (0, 0, 0)
    assert icdar2015_score([image([bar(0, 9)], [])]) == (0, 0, 0)
