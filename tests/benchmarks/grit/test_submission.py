import json
import zipfile
from pathlib import Path

import pytest

from maskrcnn.benchmarks.archives import write_archive
from maskrcnn.benchmarks.grit.metric import GritAnswer
from maskrcnn.benchmarks.grit.samples import Questions, read_questions
from maskrcnn.benchmarks.grit.submission import answer_questions, check_record, read_answers, write_answers
from maskrcnn.errors import DataError
from tests.builders.grit import lay_out, rle, sample


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
        ({}, r"holds no localization.json or segmentation.json"),
        ({"localization.json": "["}, r"localization.json must be a list of answers"),
        ({"localization.json": [{"confidence": 1}]}, r"must be a list of answers, each with its `example_id`"),
        ({"localization.json": [{"example_id": "a"}] * 2}, r"has several answers to one sample"),
        ({"localization.json": [{"example_id": "a"}]}, r"has no answer to 2 of 3 samples, such as b"),
        (
            {"segmentation.json": [{"example_id": "d", "confidence": 2, "masks": []}]},
            r"answer d: `confidence` must be a number from 0 to 1, but is 2",
        ),
        (
            {"segmentation.json": [{"example_id": "d", "confidence": 1, "masks": [[]]}]},
            r"answer d: one of its `masks` is no RLE",
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
        ({"image_id": 9}, "record 1: image_id 9 is not among 2"),
        ({"category_id": 0}, "record 1: category_id 0 is not one of 1 to 2"),
        ({"score": 1.5}, r"record 1: score 1.5 must be a number from 0 to 1"),
        ({"bbox": [1, 2]}, r"record 1: `bboxes` must be lists of four finite numbers"),
    ],
)
def test_broken_records_are_named(questions: Questions, changes: dict, message: str):
    with pytest.raises(DataError, match=message):
        check_record(questions, {**record(1, 1, 0.9), **changes}, "mine: record 1")
