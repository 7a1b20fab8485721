import numpy as np
import pytest

from maskrcnn.benchmarks.cityscapes.metric import area_below_curve, instance_section
from maskrcnn.data.readers.cityscapes import LABELS, STUFF, THINGS, to_segments
from maskrcnn.evaluation.panoptic_quality import PanopticTruth, SegmentClass, count_segments
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import encode_counts
from maskrcnn.structures.regions import LabelMap, find_regions
from tests.builders.vectors import label_map, load_vector, vector_files

CAR, PERSON = 26, 24
SEGMENT_VECTORS = [path for path in vector_files("cityscapes") if "inst_" not in path.id]
CLASSES = {label: SegmentClass(LABELS[label], label in THINGS) for label in sorted(STUFF + THINGS)}


def prediction(mask: np.ndarray, score: float, label: int = CAR, image_id: int = 1) -> dict:
    empty = {"size": list(mask.shape), "counts": encode_counts([mask.size], mask.shape)["counts"]}
    rle = find_regions(mask.astype(np.uint8))[-1].rle() if mask.any() else empty
    return {"image_id": image_id, "category_id": label, "score": score, "segmentation": rle}


def score(maps: dict[int, np.ndarray], records: list[dict]):
    return instance_section(
        {key: values.shape for key, values in maps.items()}, maps.__getitem__, Results(tuple(records))
    )


def street() -> np.ndarray:
    """Road with two cars of 400 px, a small one of 64 px, a group of cars, a caravan and some void."""
    values = np.full((60, 100), 7, dtype=np.uint16)
    values[5:25, 5:25] = 26000
    values[5:25, 40:60] = 26001
    values[40:48, 5:13] = 26002
    values[30:50, 40:60] = CAR
    values[30:50, 70:90] = 29000
    values[5:25, 70:90] = 4
    return values


@pytest.mark.parametrize("path", SEGMENT_VECTORS)
def test_segments_are_counted_as_the_official_evaluator_counts_them(path):
    """The means are checked in `test_dataset.py`, from the official files to the report."""
    vector = load_vector(path)
    images, expected = vector["input"]["images"], vector["expected"]
    maps = {key: label_map(image["gt"]).astype(np.uint16) for key, image in enumerate(images, start=1)}
    divided = {key: to_segments(LabelMap.encode(values)) for key, values in maps.items()}
    named = {image["name"]: divided[key][1] for key, image in enumerate(images, start=1)}
    assert named == expected["panoptic_gt_segments"]
    records = []
    for key, image in enumerate(images, start=1):
        ids = label_map(image["pred"]["map"])
        labels = {segment["id"]: segment["category_id"] for segment in image["pred"]["segments"]}
        records += [prediction(ids == one, 1.0, label, key) for one, label in labels.items()]
    truth = PanopticTruth("", {key: values.shape for key, values in maps.items()}, CLASSES, divided.__getitem__)
    (tallies,) = count_segments(truth, Results(tuple(records)))
    assert {
        CLASSES[label].name: {
            "iou_sum": pytest.approx(one.iou, abs=1e-9),
            "tp": one.right,
            "fp": one.wrong,
            "fn": one.missed,
        }
        for label, one in tallies.items()
    } == expected["stats_per_category"]


def test_what_is_annotated_scores_1():
    values = street()
    section = score({1: values}, [prediction(values == 26000, 0.9), prediction(values == 26001, 0.8)])
    assert (section.numbers, section.per_class["car"]) == ({"AP": 1, "AP50": 1}, {"AP": 1, "AP50": 1})
    assert section.per_class["bus"] == {"AP": None, "AP50": None}


@pytest.mark.parametrize("place", [26002, CAR, 4])
def test_small_objects_groups_and_void_do_not_count(place):
    values = street()
    cars = [prediction(values == 26000, 0.9), prediction(values == 26001, 0.8)]
    assert score({1: values}, [*cars, prediction(values == place, 0.95)]).numbers["AP"] == 1


def test_a_car_on_a_caravan_counts_against_it():
    values = street()
    cars = [prediction(values == 26000, 0.9), prediction(values == 26001, 0.8)]
    section = score({1: values}, [*cars, prediction(values == 29000, 0.95)])
    # precision 2/3 at recall 1 and 1/2 at 1/2, with widths of 1/4 and 1/2; the wrong one in front has 0
    assert section.numbers["AP"] == pytest.approx(2 / 3 / 4 + 1 / 2 / 2)


def test_of_two_predictions_of_one_object_the_worse_is_wrong_and_an_overlap_of_a_half_is_no_match():
    values = street()
    half = np.zeros(values.shape, dtype=bool)
    half[5:15, 5:25] = True
    double = [prediction(values == 26000, 0.5), prediction(values == 26000, 0.9), prediction(values == 26001, 0.8)]
    assert score({1: values}, double).numbers["AP"] == 1  # the wrong one comes last and moves no point of the curve
    assert score({1: values}, [prediction(half, 0.9)]).numbers["AP50"] == 0


def test_other_labels_and_empty_masks_are_left_out():
    values = street()
    nothing = np.zeros(values.shape, dtype=bool)
    records = [prediction(values == 29000, 0.9, label=29), prediction(values == 7, 1.0, label=7)]
    assert score({1: values}, [*records, prediction(nothing, 1.0)]).per_class["car"] == {"AP": 0, "AP50": 0}


def test_without_objects_there_is_nothing_to_score_and_without_predictions_the_score_is_0():
    empty = np.full((4, 4), 7, dtype=np.uint16)
    assert score({}, []).numbers == {"AP": None, "AP50": None}
    assert score({1: empty}, [prediction(empty > 0, 1.0)]).numbers == {"AP": None, "AP50": None}
    values = street()
    assert score({1: values}, []).numbers == {"AP": 0, "AP50": 0}
    assert score({1: values}, [prediction(values == 4, 0.9)]).numbers == {"AP": 0, "AP50": 0}  # it does not count


def test_the_curve_has_one_point_for_equal_scores_and_precision_1_at_recall_0():
    # points of 0.5 and 0.9: precision 2/3 and 1/2 at recall 1 and 1/2; widths 1/4 and 1/2; 1/4 is left for precision 1
    right = np.array([True, False, True])
    assert area_below_curve(np.array([0.9, 0.9, 0.5]), right, missed=0) == pytest.approx(2 / 3 / 4 + 1 / 4 + 1 / 4)
    assert area_below_curve(np.array([0.9]), np.array([False]), missed=3) == 0
    assert area_below_curve(np.zeros(0), np.zeros(0, dtype=bool), missed=3) == 0
