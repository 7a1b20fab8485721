from pathlib import Path
from typing import Any

import pytest

from maskrcnn.benchmarks.grit.samples import query_class, read_objects, read_questions
from maskrcnn.errors import DataError
from tests.builders.grit import BOXES, lay_out, sample


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
    with pytest.raises(DataError, match=r"samples/test: neither localization.json nor .* GRIT's test .*images/"):
        read_questions(tmp_path, "test")
    lay_out(tmp_path, localization=[{"example_id": "1"}])
    with pytest.raises(DataError, match=r"localization.json: the sample .* must have an `example_id` and a `task_qu"):
        read_questions(tmp_path, "val")
    (tmp_path / "samples" / "val" / "localization.json").write_text("{}")
    with pytest.raises(DataError, match=r"localization.json: must be a list of samples"):
        read_questions(tmp_path, "val")


@pytest.mark.parametrize(
    ("task", "objects", "message"),
    [
        ("localization", None, "`bboxes` must be a list, but is None"),
        ("localization", [[1, 2, 3]], r"four finite numbers x1, y1, x2, y2, but one is \[1, 2, 3\]"),
        ("localization", [[1, 2, 3, float("nan")]], "four finite numbers"),
        ("segmentation", [[1, 2, 3, 4]], "one of its `masks` is no RLE"),
        ("segmentation", [{"size": [2, 2], "counts": "0"}], "RLE"),
    ],
)
def test_broken_objects_are_named(task: str, objects: Any, message: str):
    with pytest.raises(DataError, match=f"mine: .*{message}"):
        read_objects(task, objects, "mine")
