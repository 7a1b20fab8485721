from pathlib import Path

import pytest

from maskrcnn.config import RunSettings
from maskrcnn.errors import SettingError
from maskrcnn.structures.classes import Classes
from maskrcnn.training.checkpoint import Checkpoint, RunProgress
from maskrcnn.training.settings import check_resumable, evaluation_interval, required_steps, with_steps, with_stuff
from tests.training import small

PATH = Path("run/last.pt")


def run_settings(data=None, **train):
    return RunSettings.model_validate({"data": data or {}, "train": train})


@pytest.mark.parametrize(
    ("images", "data", "train", "steps"),
    [
        (10, {}, {}, 1000),
        (1000, {"batch_size": 2}, {}, 6000),
        (1001, {"batch_size": 2}, {"accumulate_steps": 3}, 2002),
        (1000, {}, {"steps": 7}, 7),
    ],
)
def test_the_steps_are_twelve_passes_at_least_a_thousand_or_as_set(images, data, train, steps):
    assert required_steps(with_steps(run_settings(data, **train), images)) == steps


def test_a_semantic_head_gets_the_classes_of_the_data():
    stuff = Classes(("cat",), (1,), stuff=("sky", "grass"), stuff_ids=(2, 3))
    plain, panoptic = run_settings(), RunSettings.model_validate({"semantic_head": {"channels": 32}})
    fitted = with_stuff(panoptic, stuff)
    assert (fitted.model.semantic_head.classes, fitted.model.semantic_head.channels) == (3, 32)
    assert with_stuff(fitted, stuff) == fitted
    assert with_stuff(plain, stuff) == plain
    with pytest.raises(SettingError, match="semantic_head: "):
        with_stuff(panoptic, Classes(("cat",), (1,)))


def test_the_loop_asks_for_the_steps():
    with pytest.raises(SettingError, match="train.steps"):
        required_steps(run_settings())


@pytest.mark.parametrize(
    ("train", "interval"), [({"steps": 1000}, 100), ({"steps": 7}, 1), ({"steps": 15}, 2), ({"evaluate_every": 30}, 30)]
)
def test_there_are_ten_evaluations_unless_it_is_set(train, interval):
    assert evaluation_interval(run_settings(**train).train) == interval


def check(now, classes=small.CLASSES):
    before = Checkpoint(RunProgress(), run_settings(steps=10), small.CLASSES, {}, {}, None)
    return check_resumable(PATH, before, now, classes)


def test_a_run_goes_on_with_other_steps_rate_and_workers_which_are_named():
    changes = check(run_settings({"workers": 3}, steps=20, learning_rate=0.5))
    assert [change.split(" (")[0] for change in changes] == [
        "data.workers=3", "train.learning_rate=0.5", "train.steps=20"
    ]  # fmt: skip
    assert "before: 10" in changes[-1]
    assert check(run_settings(steps=10)) == []


@pytest.mark.parametrize(
    ("now", "classes", "named"),
    [
        pytest.param(run_settings(steps=10, optimizer="adamw"), ("cell",), "optimizer=sgd.* adamw", id="an optimizer"),
        pytest.param(run_settings(steps=10, seed=3), ("cell",), "train.seed=0.* 3", id="a seed"),
        pytest.param(run_settings(steps=10).changed({"mask_head": None}), ("cell",), "mask_head", id="no masks"),
        pytest.param(run_settings(steps=10), ("cat",), "cell.*cat", id="other classes"),
    ],
)
def test_a_run_does_not_go_on_as_another_one(now, classes, named):
    with pytest.raises(SettingError, match=f"last.pt: .*{named}"):
        check(now, Classes(classes, (1,)))
