import numpy as np
import pytest

from maskrcnn.errors import DataError
from maskrcnn.evaluation.panoptic_quality import (
    PanopticTruth,
    SegmentClass,
    Tally,
    best_first,
    count_segments,
    paint_images,
    paint_label_map,
    panoptic_numbers,
    panoptic_sections,
)
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop
from maskrcnn.structures.regions import find_regions

CAT, DOG, SKY, SEA = 17, 18, 187, 155
CLASSES = {
    CAT: SegmentClass("cat", True),
    DOG: SegmentClass("dog", True),
    SKY: SegmentClass("sky", False),
    SEA: SegmentClass("sea", False),
}
SIZE = (4, 6)


def results(*records: dict) -> Results:
    return Results(tuple(records))


def rows(*values: int) -> np.ndarray:
    """A map of ten columns with a row for each value."""
    return np.repeat(np.array(values)[:, None], 10, axis=1)


def truth_of(ids: np.ndarray, categories: dict[int, int], crowds: tuple[int, ...] = ()) -> PanopticTruth:
    segments = [
        {"id": one, "category_id": label, "area": int((ids == one).sum()), "iscrowd": int(one in crowds)}
        for one, label in categories.items()
    ]
    return PanopticTruth("truth.json", {7: ids.shape}, CLASSES, lambda image_id: (ids, segments))


def predicted(ids: np.ndarray, labels: dict[int, int], score: float = 1.0) -> Results:
    return results(
        *(
            {"image_id": 7, "category_id": labels[one.value], "score": score, "segmentation": one.rle()}
            for one in find_regions(ids)
            if one.value in labels
        )
    )


def counts(truth: PanopticTruth, records: Results, label: int, score_threshold: float = 0) -> tuple:
    (tallies,) = count_segments(truth, records, score_thresholds=[score_threshold])
    tally = tallies[label]
    return pytest.approx(tally.iou), tally.right, tally.wrong, tally.missed


def slow_tallies(ids: np.ndarray, segments: list[dict], found: np.ndarray, labels: dict[int, int]) -> dict:
    """panopticapi's loop over pairs of segments, one mask against another."""
    tallies = {label: [0.0, 0, 0, 0] for label in CLASSES}
    void = ids == 0
    matched, used = set(), set()
    for segment in segments:
        for one, label in labels.items():
            if segment["iscrowd"] or segment["category_id"] != label:
                continue
            truth_mask, mask = ids == segment["id"], found == one
            union = mask.sum() + truth_mask.sum() - (mask & truth_mask).sum() - (mask & void).sum()
            if (mask & truth_mask).sum() / union > 0.5:
                tallies[label][0] += (mask & truth_mask).sum() / union
                tallies[label][1] += 1
                matched.add(segment["id"])
                used.add(one)
    crowds = {segment["category_id"]: segment["id"] for segment in segments if segment["iscrowd"]}
    for segment in segments:
        if segment["id"] not in matched and not segment["iscrowd"]:
            tallies[segment["category_id"]][3] += 1
    for one, label in labels.items():
        mask = found == one
        ignored = (mask & void).sum() + (mask & (ids == crowds.get(label, -1))).sum()
        if one not in used and ignored / mask.sum() <= 0.5:
            tallies[label][2] += 1
    return tallies


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_comparing_every_pair_of_masks(seed):
    random = np.random.default_rng(seed)
    ids = np.kron(random.integers(0, 9, (4, 4)), np.ones((5, 5), dtype=int)) * 70001
    found = np.where(random.random(ids.shape) < 0.15, random.integers(0, 9, ids.shape), ids // 70001)
    present = [int(one) for one in np.unique(ids) if one]
    truth = truth_of(
        ids, {one: list(CLASSES)[random.integers(4)] for one in present}, tuple(random.choice(present, 2).tolist())
    )
    segments = truth.read(7)[1]
    kinds = {one // 70001: segment["category_id"] for one, segment in zip(present, segments, strict=True)}
    labels = {int(one): kinds.get(int(one), CAT) for one in np.unique(found) if one}
    (tallies,) = count_segments(truth, predicted(found, labels))
    expected = slow_tallies(ids, segments, found, labels)
    for label, tally in tallies.items():
        assert [tally.iou, tally.right, tally.wrong, tally.missed] == pytest.approx(expected[label], abs=1e-12)


@pytest.mark.parametrize(
    ("annotated", "crowds", "found", "labels", "label", "expected"),
    [
        pytest.param((5, 5, 5, 9), (), (1, 1, 0, 0), {1: CAT}, CAT, (2 / 3, 1, 0, 0), id="an overlap above a half"),
        pytest.param((5, 5, 5, 5, 9), (), (1, 1, 0, 0, 0), {1: CAT}, CAT, (0, 0, 1, 1), id="an overlap of a half"),
        pytest.param((5, 0, 0, 9), (), (1, 1, 1, 0), {1: CAT}, CAT, (1, 1, 0, 0), id="unlabeled beside an object"),
        pytest.param((5, 0, 0, 9), (), (0, 1, 1, 2), {1: DOG, 2: SKY}, DOG, (0, 0, 0, 0), id="unlabeled pixels alone"),
        pytest.param((5, 0, 0, 9), (), (0, 0, 1, 1), {1: DOG}, DOG, (0, 0, 1, 0), id="half on the sky is too much"),
        pytest.param((5, 6, 6, 9), (), (0, 1, 1, 0), {1: DOG}, DOG, (0, 0, 1, 0), id="an id the file does not list"),
        pytest.param((5, 5, 5, 9), (5,), (1, 1, 0, 0), {1: CAT}, CAT, (0, 0, 0, 0), id="a crowd of its own class"),
        pytest.param((5, 5, 5, 9), (5,), (1, 1, 0, 0), {1: DOG}, DOG, (0, 0, 1, 0), id="a crowd of another class"),
    ],
)
def test_what_counts_as_found_wrong_and_missed(annotated, crowds, found, labels, label, expected):
    truth = truth_of(rows(*annotated), {5: CAT, 9: SKY}, crowds)
    assert counts(truth, predicted(rows(*found), labels), label) == expected


def test_the_better_mask_takes_the_pixels_that_both_cover():
    truth = truth_of(rows(5, 5, 5, 9), {5: CAT, 9: SKY})
    best, worse = predicted(rows(1, 1, 1, 0), {1: CAT}, 0.9), predicted(rows(1, 1, 1, 1), {1: CAT}, 0.3)
    assert counts(truth, results(*worse, *best), CAT) == (1, 1, 1, 0)
    assert counts(truth, results(*worse, *best), CAT, score_threshold=0.5) == (1, 1, 0, 0)
    hidden = predicted(rows(0, 1, 0, 0), {1: CAT}, 0.3)
    assert counts(truth, results(*hidden, *best), CAT) == (1, 1, 0, 0)  # no pixel of it is left


def test_means_are_over_the_classes_that_occur():
    tallies = {
        CAT: Tally(iou=1.5, right=2, wrong=1, missed=1),
        DOG: Tally(missed=1),
        SKY: Tally(iou=0.9, right=1),
        SEA: Tally(),
    }
    assert tallies[CAT].quality() == {"PQ": 0.5, "SQ": 0.75, "RQ": pytest.approx(2 / 3)}
    numbers = panoptic_numbers(CLASSES, tallies)
    assert numbers["PQ"] == pytest.approx((0.5 + 0 + 0.9) / 3)
    assert (numbers["PQ_th"], numbers["SQ_th"]) == (0.25, 0.375)
    assert (numbers["PQ_st"], numbers["RQ_st"]) == (pytest.approx(0.9), 1)
    assert set(panoptic_numbers(CLASSES, {label: Tally() for label in CLASSES}).values()) == {None}


def test_a_detector_has_numbers_of_things_only_and_a_second_section_of_its_surer_predictions():
    ids = rows(5, 5, 5, 9)
    truth = truth_of(ids, {5: CAT, 9: SKY})
    records = results(*predicted(ids, {5: CAT}, 0.9), *predicted(rows(0, 0, 0, 1), {1: CAT}, 0.2))
    every, sure = panoptic_sections(truth, records, things_only=True)
    assert (every.name, every.numbers["PQ_th"]) == ("panoptic", pytest.approx(1 / 1.5))
    assert (sure.name, sure.numbers) == ("panoptic_confident", {"PQ_th": 1, "SQ_th": 1, "RQ_th": 1})
    assert sure.per_class == {"cat": {"PQ": 1, "SQ": 1, "RQ": 1}, "dog": {"PQ": None, "SQ": None, "RQ": None}}
    assert sure.protocol.endswith("predictions with a score of at least 0.5")


def test_segments_of_a_panoptic_model_are_one_section_of_all_classes():
    ids = rows(5, 5, 5, 9)
    steps = []
    (section,) = panoptic_sections(truth_of(ids, {5: CAT, 9: SKY}), predicted(ids, {5: CAT, 9: SKY}), steps.append)
    assert set(section.numbers.values()) == {1}
    assert list(section.per_class) == ["cat", "dog", "sky", "sea"]
    assert steps == ["segments of image 1 of 1"]


def test_without_predictions_everything_is_missed_and_without_images_there_is_nothing():
    (section,) = panoptic_sections(truth_of(rows(5, 9), {5: CAT, 9: SKY}), results())
    assert set(section.numbers.values()) == {0}
    (nothing,) = panoptic_sections(PanopticTruth("", {}, CLASSES, lambda image_id: (rows(0), [])), results())
    assert set(nothing.numbers.values()) == {None}


def test_an_unknown_class_is_an_error():
    truth = truth_of(rows(5, 9), {5: CAT, 9: SKY})
    with pytest.raises(DataError, match=r"found.json: record 0: category_id 3 .*truth.json"):
        truth.parse(predicted(rows(1, 0), {1: 3}).records, source="found.json")


def test_every_segment_has_a_mask():
    record = {"image_id": 7, "category_id": CAT, "score": 1, "bbox": [0, 0, 1, 1]}
    with pytest.raises(DataError, match="results: record 0 .* segmentation"):
        truth_of(rows(5, 9), {5: CAT, 9: SKY}).parse([record])


def square(left, top, side):
    return encode_crop(Crop(left, top, np.ones((side, side), bool)), SIZE)


def test_a_pixel_belongs_to_the_first_object_that_covers_it():
    painted = paint_label_map([square(0, 0, 2), square(1, 1, 3)], SIZE)
    assert painted.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 2, 2, 0, 0], [0, 2, 2, 2, 0, 0], [0, 2, 2, 2, 0, 0]]


def test_an_object_below_others_keeps_its_number_but_has_no_pixel():
    assert np.unique(paint_label_map([square(0, 0, 3), square(1, 1, 2), square(3, 3, 1)], SIZE)).tolist() == [0, 1, 3]


def test_empty_masks_are_painted_too():
    empty = encode_crop(Crop(0, 0, np.zeros((0, 0), bool)), SIZE)
    painted = paint_label_map([empty, square(3, 0, 2)], SIZE)
    assert ((painted == 1).sum(), (painted == 2).sum()) == (0, 4)
    assert not paint_label_map([], SIZE).any()


def test_masks_are_painted_by_falling_score_from_the_threshold_on():
    records = [
        {"score": score, "segmentation": mask, "place": place}
        for place, (score, mask) in enumerate([(0.6, {}), (0.5, {}), (0.49, {}), (0.9, None), (0.6, {}), (0.8, {})])
    ]
    assert [record["place"] for record in best_first(records, score_threshold=0.5)] == [5, 0, 4, 1]


def test_images_are_painted_in_the_order_of_their_sizes_with_the_best_records_first():
    def record(image_id, score, left):
        return {"image_id": image_id, "score": score, "segmentation": square(left, 0, 2)}

    records = [record(2, 0.6, 0), record(2, 0.9, 1), record(2, 0.4, 4)]
    painted = dict(paint_images(Results(tuple(records)), {3: SIZE, 2: SIZE}, score_threshold=0.5))
    assert list(painted) == [3, 2]
    assert not painted[3].any()
    assert painted[2][0].tolist() == [2, 1, 1, 0, 0, 0]
