import json
import math
import time

import pytest
import torch

from maskrcnn.errors import SettingError
from maskrcnn.training.run import Run, main_score
from tests.training import small


def open_run(folder, *, resume=False, **train):
    return Run(
        small.Small(),
        small.settings(**train),
        classes=small.CLASSES,
        folder=folder,
        device=torch.device("cpu"),
        resume=resume,
        quiet=True,
    )


def make_steps(run, number, loss=1.0):
    for _ in range(number):
        run.record(("a.png",), {"first": torch.tensor(loss), "loss": torch.tensor(loss)})
        run.step_is_done(0.5, 0.1)


def test_a_new_run_saves_before_its_first_step(tmp_path):
    with open_run(tmp_path / "deep" / "run") as run:
        assert run.checkpoint_is_due()
        run.save()
        assert not run.checkpoint_is_due()


def test_checkpoints_and_evaluations_are_due_every_so_often(tmp_path):
    with open_run(tmp_path, checkpoint_every=2, evaluate_every=3, steps=4) as run:
        due = []
        for _ in range(4):
            make_steps(run, 1)
            due.append((run.checkpoint_is_due(), run.evaluation_is_due()))
    assert due == [(False, False), (True, False), (False, True), (True, True)]


def test_a_checkpoint_is_also_due_after_some_minutes(tmp_path, monkeypatch):
    with open_run(tmp_path, checkpoint_minutes=10) as run:
        run.save()
        make_steps(run, 1)
        assert not run.checkpoint_is_due()
        later = time.monotonic() + 600
        monkeypatch.setattr("maskrcnn.training.run.time.monotonic", lambda: later)
        assert run.checkpoint_is_due()
        run.save()
        make_steps(run, 1)
        assert not run.checkpoint_is_due()


def test_an_evaluation_that_was_killed_is_made_when_the_run_goes_on(tmp_path):
    with open_run(tmp_path, evaluate_every=2) as run:
        make_steps(run, 2)
        run.save()
    with open_run(tmp_path, evaluate_every=2, resume=True) as run:
        assert run.evaluation_is_due()
        run.evaluation_is_done({"bbox": {"AP": 0.5}}, 1.0)
        assert not run.evaluation_is_due()


def test_log_lines_hold_means_speed_and_time(tmp_path):
    with open_run(tmp_path, log_every=2) as run:
        make_steps(run, 1, loss=1.0)
        make_steps(run, 1, loss=3.0)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[1])
    assert (line["loss"], line["losses"], line["gradient_norm"]) == (2, {"first": 2}, None)
    assert (line["step"], line["images_per_second"], line["seconds"]) == (2, 2, 1)


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    (tmp_path / ".last.pt.1.partial").touch()
    with open_run(tmp_path):
        assert not (tmp_path / ".last.pt.1.partial").exists()


def test_without_steps_there_is_no_run_and_no_file(tmp_path):
    with pytest.raises(SettingError, match=r"train.steps"):
        open_run(tmp_path, steps=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"bbox": {"AP": 0.4}, "segm": {"AP": 0.3}}, ("AP", 0.3)),
        ({"bbox": {"AP": 0.4}, "segm": {"AP": 0.3}, "keypoints": {"AP": 0.2}}, ("AP", 0.2)),
        ({"bbox": {"AP": 0.4}}, ("AP", 0.4)),
        ({"proposals": {"AR@100": 0.4, "AR@1000": 0.5}}, ("AR@1000", 0.5)),
        ({"bbox": {"AP": 0.4}, "segm": {"AP": 0.3}, "keypoints": {"AP": -1.0}}, ("AP", 0.3)),
        ({"bbox": {"AP": 0.0}}, ("AP", 0.0)),
        ({"bbox": {"AP": math.nan}}, ("AP", None)),
        ({"bbox": {"AP": -1.0}, "segm": {"AP": -1.0}}, ("AP", None)),
        ({"proposals": {"AR@1000": -1.0}}, ("AR@1000", None)),
        ({"bbox": {"AP": None}}, ("AP", None)),
        ({}, ("AP", None)),
    ],
)
def test_runs_are_compared_by_keypoints_or_else_by_masks_boxes_or_proposals(scores, expected):
    assert main_score(scores) == expected
