import json

import numpy as np
import pytest

from maskrcnn.analysis.errors import analyze_errors, errors_report, errors_tables
from maskrcnn.analysis.faults import FAULTS, find_faults
from tests.builders.scoring import coco_scores, found, shown, truth_of

CAT, DOG = 1, 2
BOX, APART = [0, 0, 20, 10], [50, 50, 20, 10]


def losses(objects, records, **shape):
    truth = truth_of(*objects, **shape)
    return analyze_errors(truth, find_faults(truth, records, "bbox"))


def box_iou(first, second):
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def slow_faults(objects, records):
    """(class, score, fault, object) of each detection, and found objects: one at a time, without crowds."""
    taken, rows = {}, []
    for place in sorted(range(len(records)), key=lambda n: -records[n]["score"]):
        record = records[place]
        fits = {n: box_iou(record["bbox"], o[2]) for n, o in enumerate(objects) if o[0] == record["image_id"]}
        own = {n: iou for n, iou in fits.items() if objects[n][1] == record["category_id"]}
        other = {n: iou for n, iou in fits.items() if n not in own}
        free = {n: iou for n, iou in own.items() if n not in taken and iou >= 0.5}
        best, best_other = max(own, key=own.get, default=None), max(other, key=other.get, default=None)
        if free:
            fault, target = "right", max(free, key=free.get)
            taken[target] = place
        elif own and 0.1 <= own[best] < 0.5:
            fault, target = "localization", best
        elif other and other[best_other] >= 0.5:
            fault, target = "classification", best_other
        elif own and own[best] >= 0.5:
            fault, target = "duplicate", best
        else:
            fault, target = ("background" if max(fits.values(), default=0) <= 0.1 else "class_and_place"), None
        rows.append((record["category_id"], record["score"], fault, target))
    return rows, set(taken)


def slow_precision(objects, expected_faults, mended):
    """Mean AP after some kinds of errors are put right, by rewriting the list of detections."""
    rows, done = expected_faults
    claimed, listed = set(done), []
    claims = {target for _, _, fault, target in rows if fault in ("classification", "localization")}
    for category, score, fault, target in rows:
        first = fault in ("classification", "localization") and target not in claimed
        if first:
            claimed.add(target)
        if fault == "right" or fault not in mended:
            listed.append((category, score, fault == "right"))
        elif first:
            listed.append((objects[target][1], score, True))
    left = [n for n in range(len(objects)) if "missed" not in mended or n in claims or n in done]
    aps = []
    for category in {one[1] for one in objects}:
        hits = np.array([right for name, _, right in listed if name == category], dtype=bool)
        count = sum(objects[n][1] == category for n in left)
        if not count:
            aps.append(float(not len(hits)))
            continue
        right = np.cumsum(hits)
        precision, recall = right / (np.arange(len(hits)) + 1), right / count
        aps.append(np.mean([precision[recall >= level].max(initial=0) for level in np.linspace(0, 1, 101)]))
    return np.mean(aps)


def random_errors(seed):
    random = np.random.default_rng(seed)
    objects, records = [], []
    for image in range(1, 9):
        for _ in range(random.integers(0, 5)):
            x, y = random.integers(0, 60, 2).tolist()
            objects.append((image, int(random.integers(1, 4)), [x, y, 20, 20], 0))
            for _ in range(random.integers(0, 4)):
                dx, dy = random.integers(0, 13, 2).tolist()
                category = objects[-1][1] if random.random() < 0.6 else int(random.integers(1, 4))
                records.append(found(image, category, [x + dx, y + dy, 20, 20], float(random.random())))
        records.append(found(image, 1, [*random.integers(0, 60, 2).tolist(), 20, 20], float(random.random())))
    return objects, records


@pytest.mark.parametrize("seed", range(6))
def test_what_each_kind_costs_is_that_of_putting_it_right_by_hand(seed):
    objects, records = random_errors(seed)
    expected_faults = slow_faults(objects, records)
    analyzed = losses(objects, records, count=8, classes=3)
    before = slow_precision(objects, expected_faults, ())
    assert analyzed.whole.ap == pytest.approx(before, abs=1e-12)
    for place, fault in enumerate(FAULTS):
        alone = slow_precision(objects, expected_faults, (fault,)) - before
        assert analyzed.whole.alone[fault] == pytest.approx(max(alone, 0), abs=1e-12)
        share = slow_precision(objects, expected_faults, FAULTS[: place + 1]) - slow_precision(
            objects, expected_faults, FAULTS[:place]
        )
        assert analyzed.whole.shares[fault] == pytest.approx(share, abs=1e-12)
        if fault != "missed":
            assert analyzed.whole.counts[fault] == sum(row[2] == fault for row in expected_faults[0])


@pytest.mark.parametrize("seed", range(6, 10))
def test_the_shares_add_up_to_the_missing_ap_of_the_whole_and_of_each_class(seed):
    objects, records = random_errors(seed)
    analyzed = losses(objects, records, count=8, classes=3)
    official = coco_scores(truth_of(*objects, count=8, classes=3), records, iou_types=("bbox",))["bbox"]
    assert analyzed.whole.ap == pytest.approx(official.numbers["AP50"], abs=1e-12)
    for name, one in [*analyzed.per_class.items(), ("", analyzed.whole)]:
        assert sum(one.shares.values()) == pytest.approx(1 - one.ap, abs=1e-12)
        if name:
            assert one.ap == pytest.approx(official.per_class[name]["AP50"], abs=1e-12)
    aps = [one.ap for one in analyzed.per_class.values()]
    assert aps == sorted(aps)


@pytest.mark.parametrize(
    ("objects", "records", "fault", "ap"),
    [
        ([(1, CAT, BOX, 0)], [found(1, DOG, BOX, 0.9)], "classification", 0),
        ([(1, CAT, BOX, 0)], [found(1, CAT, [0, 0, 9, 10], 0.9)], "localization", 0),
        ([(1, CAT, BOX, 0)], [], "missed", 0),
        ([(1, CAT, BOX, 0)], [found(1, CAT, APART, 0.9), found(1, CAT, BOX, 0.8)], "background", 0.5),
        (
            [(1, CAT, BOX, 0), (1, DOG, APART, 0)],
            [found(1, CAT, [50, 50, 9, 10], 0.9), found(1, CAT, BOX, 0.8), found(1, DOG, APART, 0.7)],
            "class_and_place",
            0.75,
        ),
        # Precision 1 up to recall 0.5 (51 of 101 recalls), then 2/3.
        (
            [(1, CAT, BOX, 0), (1, CAT, APART, 0)],
            [found(1, CAT, BOX, 0.9), found(1, CAT, [0, 0, 20, 9], 0.8), found(1, CAT, APART, 0.7)],
            "duplicate",
            (51 + 50 * 2 / 3) / 101,
        ),
    ],
)
def test_one_error_alone_has_the_whole_missing_ap(objects, records, fault, ap):
    whole = losses(objects, records).whole
    assert whole.ap == pytest.approx(ap)
    assert {name: count for name, count in whole.counts.items() if count} == {fault: 1}
    for split in (whole.shares, whole.alone):
        assert split == pytest.approx(dict.fromkeys(FAULTS, 0) | {fault: 1 - ap})


def test_of_two_detections_meant_for_one_object_the_better_is_put_right_and_the_other_taken_out():
    records = [found(1, DOG, BOX, 0.9), found(1, CAT, [0, 0, 9, 10], 0.8)]
    whole = losses([(1, CAT, BOX, 0), (1, DOG, APART, 0)], [*records, found(1, DOG, APART, 0.7)]).whole
    # Cats: 0 before, found after the wrong class is right. Dogs: 1/2 before, 1 after.
    assert whole.ap == pytest.approx(0.25)
    assert whole.shares["classification"] == pytest.approx(0.75)
    assert whole.shares["localization"] == pytest.approx(0)


def test_perfect_predictions_miss_nothing():
    whole = losses([(1, CAT, BOX, 0)], [found(1, CAT, BOX, 0.9)]).whole
    assert whole.ap == pytest.approx(1)
    assert sum(whole.counts.values()) == 0


def test_classes_without_objects_have_no_row_but_their_detections_are_counted():
    analyzed = losses([(1, CAT, BOX, 0)], [found(1, DOG, APART, 0.9), found(1, CAT, BOX, 0.9)])
    assert list(analyzed.per_class) == ["class 1"]
    assert analyzed.whole.counts["background"] == 1
    assert losses([], [found(1, DOG, APART, 0.9)]).whole is None


def test_the_table_and_the_report_say_the_same():
    objects, records = random_errors(0)
    analyzed = losses(objects, records, count=8, classes=3)
    report = json.loads(json.dumps(errors_report(analyzed), allow_nan=False))
    assert report["all"]["shares"] == analyzed.whole.shares
    assert set(report["per_class"]) == {"class 1", "class 2", "class 3"}
    text = shown(errors_tables(analyzed, "bbox"))
    for fault in FAULTS:
        assert f"{100 * analyzed.whole.shares[fault]:.1f}" in text
    assert f"missing {100 * (1 - analyzed.whole.ap):.1f}" in text
    assert all(name in text for name in ("wrong class", "class and place", "class 3"))
    assert "no object to find" in shown(errors_tables(losses([], []), "bbox"))
