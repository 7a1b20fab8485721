import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.benchmarks.benchmark import write_archive
from maskrcnn.benchmarks.grit.metric import GritAnswer
from maskrcnn.benchmarks.grit.submission import (
    Questions,
    answer_questions,
    check_record,
    query_class,
    read_answers,
    read_objects,
    read_questions,
    write_answers,
)
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.grit import BOXES, lay_out, rle, sample, with_truth
from tests.builders.scoring import numbers


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
    with pytest.raises(DataError, match="params.json: .*params_in_millions"):
        opened.submit(records, tmp_path / "val.zip")
    with pytest.raises(DataError, match="params.json"):  # before anything is predicted
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
    with pytest.raises(DataError, match="samples/test: 1 "):
        opened.dataset()


@pytest.fixture
def questions(tmp_path: Path) -> Questions:
    """A cat and a dog in the image 1, a cat in the image 2, the dog's mask in image 1."""
    return read_questions(
        lay_out(
            tmp_path / "grit",
            localization=[sample("a", "cat", "1.jpg"), sample("b", "dog", "1.jpg"), sample("c", "cat", "2.jpg")],
            segmentation=[sample("d", "dog", "1.jpg")],
        ),
        "val",
    )


def record(image_id: int, category_id: int, score: float, **changes: object) -> dict:
    return {"image_id": image_id, "category_id": category_id, "score": score, "bbox": [1, 2, 10, 10], **changes}


def test_objects_of_the_class_answer_the_query(questions: Questions):
    mask = rle(1, 2, 11, 12)
    records = [
        record(1, 1, 0.9),
        record(1, 1, 0.6, bbox=[0, 0, 5, 6]),
        record(1, 1, 0.49),
        record(1, 2, 0.7, segmentation=mask),
    ]
    answers = answer_questions(questions, records, 0.5)
    assert answers["localization"] == {
        "a": GritAnswer(0.75, [[1, 2, 11, 12], [0, 0, 5, 6]]),
        "b": GritAnswer(0.7, [[1, 2, 11, 12]]),
        "c": GritAnswer(0.0, []),
    }
    assert answers["segmentation"]["d"].confidence == 0.7
    assert len(answers["segmentation"]["d"].objects) == 1


def test_a_task_without_any_record_is_not_answered(questions: Questions):
    assert answer_questions(questions, [record(1, 1, 0.9)], 0.5).keys() == {"localization"}
    nothing = answer_questions(questions, [], 0.5)
    assert nothing["segmentation"] == {"d": GritAnswer(0.0, [])}
    assert nothing.keys() == {"localization", "segmentation"}


def test_answers_survive_the_leaderboards_file(questions: Questions, tmp_path: Path):
    records = [record(1, 1, 0.9), record(1, 1, 0.55), record(1, 2, 0.7, segmentation=rle(1, 2, 11, 12))]
    answers = answer_questions(questions, records, 0.5)
    write_answers(tmp_path / "val.zip", "val", answers, 44)
    again = read_answers(tmp_path / "val.zip", "val", questions)
    assert answer_questions(questions, again, 0.5) == answers
    with zipfile.ZipFile(tmp_path / "val.zip") as archive:
        assert sorted(archive.namelist()) == ["val/localization.json", "val/params.json", "val/segmentation.json"]
        assert json.loads(archive.read("val/params.json")) == {"params_in_millions": 44}
        assert json.loads(archive.read("val/localization.json"))[2] == {
            "example_id": "c",
            "confidence": 0.0,
            "bboxes": [],
        }


def test_confident_answers_of_others_need_no_score_threshold(questions: Questions, tmp_path: Path):
    answers = {"localization": {name: GritAnswer(0.1, [[1, 2, 3, 4]]) for name in "abc"}}
    answers["localization"]["c"] = GritAnswer(0.2, [])
    write_answers(tmp_path / "val.zip", "val", answers, 1)
    assert answer_questions(questions, read_answers(tmp_path / "val.zip", "val", questions), 0.5) == answers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "localization.json or segmentation.json"),
        ({"localization.json": "["}, "val.zip: localization.json"),
        ({"localization.json": [{"confidence": 1}]}, "localization.json.*`example_id`"),
        ({"localization.json": [{"example_id": ["a"]}]}, "`example_id`"),
        ({"localization.json": [{"example_id": "a"}] * 2}, "localization.json"),
        ({"localization.json": [{"example_id": "a"}]}, "2 of 3 .*b"),
        (
            {"segmentation.json": [{"example_id": "d", "confidence": 2, "masks": []}]},
            "answer d: `confidence`.*2",
        ),
        (
            {"segmentation.json": [{"example_id": "d", "confidence": 1, "masks": [[]]}]},
            "answer d: .*`masks`",
        ),
    ],
)
def test_broken_files_are_named(questions: Questions, tmp_path: Path, content: dict, message: str):
    texts = {name: each if isinstance(each, str) else json.dumps(each) for name, each in content.items()}
    write_archive(tmp_path / "val.zip", [(f"val/{name}", text.encode()) for name, text in texts.items()])
    with pytest.raises(DataError, match=message):
        read_answers(tmp_path / "val.zip", "val", questions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "record 1: image_id 9"),
        ({"category_id": 0}, "record 1: category_id 0 .*1 to 2"),
        ({"score": 1.5}, "record 1: score 1.5"),
        ({"bbox": [1, 2]}, r"record 1: `bboxes`.*\[1, 2\]"),
    ],
)
def test_broken_records_are_named(questions: Questions, changes: dict, message: str):
    with pytest.raises(DataError, match=message):
        check_record(questions, {**record(1, 1, 0.9), **changes}, "mine: record 1")


def test_queries_name_classes_and_images_are_numbered_once(tmp_path: Path):
    folder = lay_out(
        tmp_path,
        localization=[sample("l1", "Cat", "coco/2.jpg"), sample("l2", "dog", "coco/1.jpg")],
        segmentation=[sample("s1", "cat (Stuff)", "coco/1.jpg")],
    )
    questions = read_questions(folder, "val")
    assert questions.images == {1: "coco/1.jpg", 2: "coco/2.jpg"}
    assert {number: name.casefold() for number, name in questions.classes.items()} == {1: "cat", 2: "dog"}
    assert [(each.image_id, each.category_id) for each in questions.tasks["localization"]] == [(2, 1), (1, 2)]
    assert [(each.image_id, each.category_id) for each in questions.tasks["segmentation"]] == [(1, 1)]
    assert not questions.public


def test_what_the_evaluators_own_files_say(tmp_path: Path):
    meta = {"is_new_source": True, "is_distorted": True, "concepts": [{"lemma": "dog"}, {"lemma": "thing"}]}
    folder = lay_out(tmp_path, localization=[sample("l1_dist", "dog", "1.jpg", BOXES, **meta)])
    (folder / "lemma2groups.json").write_text('{"dog": ["animals"]}')
    questions = read_questions(folder, "val")
    found = questions.tasks["localization"][0].sample
    assert (found.new_source, found.new_concept, found.distorted) == (True, False, True)
    assert found.groups == {"animals"}
    assert found.objects == BOXES
    assert questions.public


def test_samples_without_an_image_have_one_each(tmp_path: Path):
    samples = [sample("a", "cat", None), sample("b", "cat", None)]
    questions = read_questions(lay_out(tmp_path, localization=samples, segmentation=samples), "val")
    assert questions.images == dict.fromkeys((1, 2, 3, 4))


def test_the_class_of_a_query():
    assert query_class("sky (Stuff)") == "sky"
    assert query_class(" baby chair") == "baby chair"


def test_missing_and_broken_samples_are_named(tmp_path: Path):
    with pytest.raises(DataError, match="samples/test: .*localization.json"):
        read_questions(tmp_path, "test")
    lay_out(tmp_path, localization=[{"example_id": "1"}])
    with pytest.raises(DataError, match="localization.json: .*`example_id`.*`task_query`"):
        read_questions(tmp_path, "val")
    (tmp_path / "samples" / "val" / "localization.json").write_text("{}")
    with pytest.raises(DataError, match="localization.json"):
        read_questions(tmp_path, "val")


@pytest.mark.parametrize(
    ("task", "objects", "message"),
    [
        ("localization", None, "`bboxes`.*None"),
        ("localization", [[1, 2, 3]], r"`bboxes`.*\[1, 2, 3\]"),
        ("localization", [[1, 2, 3, float("nan")]], "`bboxes`.*nan"),
        ("segmentation", [[1, 2, 3, 4]], "`masks`"),
        ("segmentation", [{"size": [2, 2], "counts": "0"}], "`masks`"),
    ],
)
def test_broken_objects_are_named(task: str, objects: Any, message: str):
    with pytest.raises(DataError, match=f"mine: .*{message}"):
        read_objects(task, objects, "mine")
