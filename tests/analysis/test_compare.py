import json

import numpy as np
import pytest

from maskrcnn.analysis.compare import (
    compare_results,
    comparison_report,
    comparison_steps,
    comparison_tables,
    read_other,
)
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from tests.analysis.test_matching import copied, random_run
from tests.builders.scoring import coco_scores, found, shown, truth_of


def two_runs(count=12):
    """A truth, predictions, and the same with other scores and fewer objects."""
    objects, records = random_run(5, count)
    random = np.random.default_rng(1)
    other = [{**one, "score": float(random.random())} for one in records if random.random() < 0.8]
    return objects, truth_of(*objects, count=count), records, other


def test_the_interval_is_that_of_scoring_drawn_images_anew():
    objects, truth, first, second = two_runs()
    result = compare_results(truth, first, second, "bbox", resamples=8, seed=3)
    draws = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=8)
    for name in ("AP", "AP50", "AP75"):
        scores = [
            [
                coco_scores(*copied(objects, run, copies), iou_types=("bbox",))["bbox"].numbers[name]
                for run in (first, second)
            ]
            for copies in draws
        ]
        differences = [new - old for old, new in scores]
        assert min(map(min, scores)) >= 0
        assert len(set(differences)) > 4
        number = result.numbers[name]
        assert (number.low, number.high) == pytest.approx(np.quantile(differences, (0.025, 0.975)), abs=1e-12)
        assert number.second_better == np.mean(np.array(differences) > 0)


def test_the_numbers_of_both_runs_are_those_of_their_evaluations():
    _, truth, first, second = two_runs()
    result = compare_results(truth, first, second, "bbox", resamples=1)
    before, after = (coco_scores(truth, run, iou_types=("bbox",))["bbox"] for run in (first, second))
    for name, number in result.numbers.items():
        assert (number.first, number.second) == pytest.approx((before.numbers[name], after.numbers[name]), abs=1e-12)
        assert number.difference == number.second - number.first
    for name, number in result.per_class.items():
        assert number.second == pytest.approx(after.per_class[name]["AP"], abs=1e-12)


def test_a_run_is_as_good_as_itself():
    _, truth, first, _ = two_runs()
    number = compare_results(truth, first, first, "bbox", resamples=20).numbers["AP"]
    assert (number.difference, number.low, number.high, number.second_better) == (0, 0, 0, 0.5)


def test_a_run_that_is_better_on_every_image_is_surely_better():
    truth = truth_of(*[(image, 1, [0, 0, 20, 20], 0) for image in range(1, 10)], count=9)
    second = [found(image, 1, [0, 0, 20, 20], image / 10) for image in range(1, 10)]
    first = [{**one, "bbox": [0, 0, 20, 13]} for one in second]
    number = compare_results(truth, first, second, "bbox", resamples=50).numbers["AP"]
    # 13 / 20 = 0.65 fits at 4 of 10 thresholds, in every resample.
    assert (number.first, number.second) == pytest.approx((0.4, 1))
    assert (number.low, number.high, number.second_better) == pytest.approx((0.6, 0.6, 1))


def test_the_same_seed_draws_the_same_images():
    _, truth, first, second = two_runs()
    results = [compare_results(truth, first, second, "bbox", resamples=9, seed=seed) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]


def test_classes_and_images_without_objects_have_no_row():
    truth = truth_of((1, 1, [0, 0, 9, 9], 0), count=1, classes=3)
    result = compare_results(truth, [], [], "bbox", resamples=3)
    assert list(result.per_class) == ["class 1"]
    nothing = compare_results(truth_of(count=0), [], [], "bbox", resamples=3)
    assert nothing.numbers == nothing.per_class == {}


def test_every_step_is_reported():
    _, truth, first, second = two_runs()
    reported = []
    compare_results(truth, first, second, "bbox", resamples=1, on_progress=reported.append)
    assert sum(reported) == comparison_steps(truth) == 2 * (12 + 2)


def test_tables_show_the_largest_changes_first_and_the_report_is_json():
    _, truth, first, second = two_runs()
    result = {"bbox": compare_results(truth, first, second, "bbox", resamples=20)}
    report = json.loads(json.dumps(comparison_report(result, resamples=20), allow_nan=False))
    assert report["bbox"]["AP"]["difference"] == result["bbox"].numbers["AP"].difference
    assert "20 resamples, seed 0" in report["protocol"]
    text = shown(comparison_tables(result, "old.json", "new.json", resamples=20), width=200)
    changes = {name: abs(one.difference) for name, one in result["bbox"].per_class.items()}
    largest, other = sorted(changes, key=changes.__getitem__, reverse=True)
    assert text.index("boxes AP75") < text.index(largest) < text.index(other)
    assert f"{100 * result['bbox'].numbers['AP'].second:.1f}" in text


def other_file(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_another_run_is_read_from_its_results_or_from_the_report_that_names_them(tmp_path):
    _, truth, records, _ = two_runs()
    (tmp_path / "results.json").write_text("\n " + json.dumps(records))
    assert read_other(tmp_path / "results.json", truth) == records
    for named in ("results.json", str(tmp_path / "results.json")):
        assert read_other(other_file(tmp_path, {"bbox": {}, "results_file": named}), truth) == records


def test_results_of_other_formats_are_read_by_who_knows_them(tmp_path):
    _, truth, records, _ = two_runs()
    (tmp_path / "folder").mkdir()
    read_files: list[str] = []

    def read(path):
        read_files.append(path.name)
        return records

    for content in ({"frames": []}, "one line", [1, 2], {"results_file": "folder"}):
        assert read_other(other_file(tmp_path, content), truth, read) == records
    assert read_other(tmp_path / "folder", truth, read) == records
    assert read_files == ["other.json", "other.json", "other.json", "folder", "folder"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"bbox": {"AP": 0.5}, "rules": {}}, "other.json.*`results_file`"),
        ({"images": []}, "other.json"),
        ({"results_file": "gone.json"}, "other.json.*`results_file` .*gone.json"),
        ("{", "other.json"),
        ([found(99, 1, [0, 0, 1, 1], 0.5)], "other.json: record 0: image_id 99"),
    ],
)
def test_what_cannot_be_compared_is_named_with_the_remedy(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_other(other_file(tmp_path, content), two_runs()[1])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="gone.json"):
        read_other(tmp_path / "gone.json", Annotations.parse({"images": [], "categories": [], "annotations": []}))


def test_an_interval_stays_in_one_line_of_a_narrow_terminal_beside_a_long_name():
    _, truth, run, _ = two_runs()
    result = {"bbox": compare_results(truth, run, run, "bbox", resamples=2)}
    text = shown(comparison_tables(result, "a_long_name_of_results.json", "this run"), width=80)
    assert "+0.0 to +0.0" in text
    assert "…" not in text
