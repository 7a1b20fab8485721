from pathlib import Path

import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.grit import BOXES, lay_out, rle, sample, with_truth
from tests.builders.scores import numbers


def perfect() -> list[dict]:
    """The objects themselves as predictions."""
    boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in BOXES]
    found = {1: [{"bbox": box} for box in boxes], 2: [{"segmentation": rle(*box)} for box in BOXES]}
    return [
        {"image_id": image_id, "category_id": category_id, "score": 0.9, **each}
        for image_id in range(1, 5)
        for category_id, objects in found.items()
        for each in objects
    ]


def test_perfect_answers_score_one(tmp_path: Path):
    opened = open_benchmark("grit", with_truth(tmp_path), "val")
    scores = numbers(opened, perfect())
    assert scores["localization"]["mean"] == pytest.approx(1, abs=1e-6)
    assert scores["segmentation"]["mean"] == pytest.approx(1, abs=1e-6)
    assert scores["overall"]["mean"] == pytest.approx(2 / 7, abs=1e-6)
    assert scores["localization_measures"]["conf"] == pytest.approx(0.9)
    assert opened.counts == {"images": 4, "objects": 16, "samples": 8}


def test_objects_below_the_threshold_are_no_answer_and_wrong_ones_cost(tmp_path: Path):
    opened = open_benchmark("grit", with_truth(tmp_path), "val")
    weak = [{**record, "score": 0.3} for record in perfect()]
    assert numbers(opened, weak)["localization"]["mean"] == 0
    wrong = [{**record, "bbox": [0, 0, 1, 1]} for record in perfect() if record["category_id"] == 1]
    assert numbers(opened, perfect() + wrong)["localization"]["mean"] == pytest.approx(0.5, abs=1e-6)


def test_what_is_submitted_scores_the_same(tmp_path: Path):
    opened = open_benchmark("grit", with_truth(tmp_path), "val")
    assert opened.submits
    records = [{**record, "score": 0.5 + record["image_id"] / 10} for record in perfect()[3:]]
    with pytest.raises(DataError, match=r'params.json: .* parameters in millions.*"params_in_millions": 44'):
        opened.submit(records, tmp_path / "val.zip")
    with pytest.raises(DataError, match=r"params.json: GRIT's leaderboard asks"):  # before anything is predicted
        opened.require_submittable()
    (tmp_path / "params.json").write_text('{"params_in_millions": 44}')
    opened.submit(records, tmp_path / "val.zip")
    again = list(opened.read(tmp_path / "val.zip"))
    assert numbers(opened, again) == numbers(opened, records)


def test_the_images_have_the_queries_classes(tmp_path: Path):
    data = open_benchmark("grit", with_truth(tmp_path), "val").dataset()
    assert data.classes.names == ("cat", "dog")
    assert [(record.image_id, record.path.name) for record in data.records] == [(n + 1, f"{n}.jpg") for n in range(4)]


def test_public_samples_can_only_be_submitted(tmp_path: Path):
    folder = lay_out(tmp_path, "ablation", localization=[sample("l", "cat", "1.jpg")])
    opened = open_benchmark("grit", folder)
    assert not opened.public
    assert opened.submits


def test_samples_without_an_image_cannot_be_predicted(tmp_path: Path):
    opened = open_benchmark("grit", lay_out(tmp_path, "test", localization=[sample("l", "cat", None)]), "test")
    with pytest.raises(DataError, match=r"samples/test: 1 samples name no image"):
        opened.dataset()
