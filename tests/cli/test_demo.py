import shlex

import pytest

from maskrcnn.cli.demo import print_next_steps
from maskrcnn.training.checkpoint import load_checkpoint
from maskrcnn.training.demo import Drawings, demo_settings, run_demo
from maskrcnn.training.loop import StopRequest

FEW = Drawings(train=8, val=2, side=64)


@pytest.fixture
def few_steps(tmp_path):
    """The demo with a few images and steps."""
    settings = demo_settings(steps=2, seed=3)

    def run():
        result = run_demo(tmp_path / "my demo", settings, FEW)
        print_next_steps(tmp_path / "my demo", result, seconds=1)
        return result.scores

    return run


def test_the_demo_leaves_images_weights_scores_and_a_sheet(few_steps, tmp_path, capsys):
    report = few_steps()
    files = {path.relative_to(tmp_path / "my demo").as_posix() for path in (tmp_path / "my demo").rglob("*")}
    assert {"train.json", "val.json", "images/val_0001.png", "run/last.safetensors"} <= files
    assert {"sheet.png", "curves.png", "run/scores.json"} <= files
    assert (report["images"], report["objects"] > 0) == (2, True)
    said = capsys.readouterr().err
    assert f"box AP {report['bbox']['AP']:.3f}, mask AP {report['segm']['AP']:.3f}" in said
    assert "seconds in all" in said


def test_the_next_commands_run(few_steps, run_cli, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few_steps()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  maskrcnn")]
    predict, evaluate, train = (shlex.split(line)[1:] for line in lines)
    assert run_cli(*predict).code == 0
    assert run_cli(*evaluate).code == 0
    assert train[0] == "train"


def test_the_demo_can_be_seen_again(few_steps):
    assert few_steps()["bbox"] == few_steps()["bbox"]


def test_another_folder_of_the_user_is_left_alone(few_steps, tmp_path):
    (tmp_path / "my demo" / "run").mkdir(parents=True)
    (tmp_path / "my demo" / "run" / "thesis.txt").write_text("years of work")
    few_steps()
    assert (tmp_path / "my demo" / "run" / "thesis.txt").exists()


def test_a_demo_that_was_stopped_can_go_on(tmp_path, run_cli, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "received", True) or self)
        patch.setattr("maskrcnn.training.demo.IMAGES", FEW)
        patch.setattr("maskrcnn.training.demo.STEPS", 2)
        patch.chdir(tmp_path)
        stopped = run_cli("demo", "--output", "shown")
    assert stopped.code == 130
    [line] = [line for line in stopped.err.splitlines() if line.startswith("  maskrcnn")]
    monkeypatch.chdir(tmp_path)
    assert run_cli(*shlex.split(line)[1:]).code == 0
    assert load_checkpoint(tmp_path / "shown" / "run" / "last.pt").progress.step == 2
