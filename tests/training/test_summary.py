from dataclasses import replace

import pytest
import torch
from rich.console import Console

from maskrcnn.config import RunSettings
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.training.dataset import TrainingData
from maskrcnn.training.summary import data_remarks, fallback_panel, plan_table


@pytest.fixture(scope="module")
def part(shapes):
    return read_coco(shapes / "val.json", shapes / "images")


def printed(*parts):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return " ".join(capture.get().split())


def plan(part, settings, *, held_out=False):
    data = TrainingData(part, part, held_out=held_out)
    return printed(plan_table(part.source, data, settings, device=torch.device("cpu"), origin="random"))


def test_the_plan_counts_steps_images_and_passes(part):
    settings = RunSettings.model_validate({"train": {"steps": 30, "precision": "float32"}, "data": {"batch_size": 4}})
    said = plan(part, settings, held_out=True)
    assert "training data 2 images with" in said
    assert "10% of them held out, every 3 steps" in said
    assert "30, 4 images each, 60.0 passes over the data" in said
    assert "sgd, learning rate 0.005, step schedule" in said
    assert "on cpu, float32" in said


def test_crowds_are_not_counted_as_objects(part):
    record = part.records[0]
    crowds = replace(record.instances, crowd=torch.ones(len(record.instances), dtype=torch.bool))
    part = replace(part, records=[replace(record, instances=crowds)])
    assert f"1 image with 0 objects ({len(crowds)} crowd" in plan(part, RunSettings())


def test_what_cannot_be_scored_or_learned_is_said_before_training(part):
    empty = replace(part, records=[replace(one, instances=one.instances[:0]) for one in part.records])
    without = TrainingData(part, empty, held_out=False)
    assert "last weights" in printed(
        plan_table(part.source, without, RunSettings(), device=torch.device("cpu"), origin="random")
    )
    assert "no object to find" in printed(*data_remarks(without))
    labels = {label for one in part.records for label in one.instances.labels.tolist()}
    one_class = replace(
        part, records=[replace(one, instances=one.instances[one.instances.labels == 0]) for one in part]
    )
    said = printed(*data_remarks(TrainingData(part, one_class, held_out=True)))
    assert all(part.classes.names[label] in said for label in labels - {0})
    assert "cannot be learned" in printed(*data_remarks(TrainingData(one_class, part, held_out=True)))


def test_many_classes_are_not_all_listed(part):
    names = tuple(f"c{number}" for number in range(20))
    part = replace(part, classes=replace(part.classes, names=names, category_ids=tuple(range(20))))
    said = plan(part, RunSettings().changed({"train.evaluate_every": 1, "data.batch_size": 1}))
    assert "every step" in said
    assert "1 image each" in said
    assert "20: c0, c1, c2, c3, c4, c5, c6, c7, ... steps" in said


def test_stuff_is_listed_if_it_is_trained(part):
    part = replace(part, classes=replace(part.classes, stuff=("sky", "grass"), stuff_ids=(8, 9)))
    assert "stuff 2: sky, grass" in plan(part, RunSettings.model_validate({"semantic_head": {}}))
    assert "stuff" not in plan(part, RunSettings())


def test_objects_left_out_are_named_up_to_five(part):
    part = replace(part, skipped=[f"object {number}" for number in range(7)])
    said = printed(*data_remarks(TrainingData(part, part, held_out=True)))
    assert "Left out: object 4 Left out: 2 more objects of" in said
    assert "object 5" not in said


def test_objects_without_a_polygon_are_counted_in_both_parts(part):
    boxes = replace(part, without_mask=9)
    said = printed(*data_remarks(TrainingData(part, boxes, held_out=False)))
    assert said.count("9 objects without a polygon") == 1


def test_the_warning_says_why_and_what_to_do():
    said = printed(fallback_panel("no [network]"))
    assert "no pretrained weights" in said
    assert "no [network]" in said
    assert "--weights" in said
