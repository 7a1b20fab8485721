"""The promise of a run: killed at any moment and resumed, it is the run it would have been."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.training import tiny

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = {
    "optimizer": "adamw",
    "ema_decay": 0.9,
    "precision": "bfloat16",
    "accumulate_steps": 2,
    "evaluate_every": 3,
}
PLAIN = {"optimizer": "sgd", "precision": "float32", "scheduler": "cosine"}


def run_in_a_process(folder: Path, settings: dict, *, until: Callable[[Path], bool] | None = None) -> bool:
    """Run or go on with a run, and kill it as soon as a condition holds; whether it was killed."""
    command = [sys.executable, "-m", "tests.training.tiny", str(folder), json.dumps(settings)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None:
            if until is not None and until(folder):
                return True
            time.sleep(0.0005)
        assert process.returncode == 0, process.stderr.read()
        return False
    finally:
        process.kill()
        process.communicate()


def logged(step: int) -> Callable[[Path], bool]:
    return lambda folder: f'"step", "step": {step},' in _text(folder / "log.jsonl")


def writing(name: str, after: int) -> Callable[[Path], bool]:
    """A file of this name is half written, and it is not the first of a new run."""
    return lambda folder: logged(after)(folder) and any(folder.glob(f".{name}.*.partial"))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def everything(folder: Path) -> dict[str, object]:
    """All a run leaves: weights, optimizer and average, and its log without the clock."""
    content = torch.load(folder / "last.pt", weights_only=True)
    progress = json.loads(content.pop("progress"))
    logs = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for part in (progress, *logs):
        for clock in ("seconds", "images_per_second", "log_position"):
            part.pop(clock, None)
    weights = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    return flat({"checkpoint": content, "progress": progress, "logs": logs, "weights": weights})


def flat(value: object, name: str = "") -> dict[str, object]:
    if not isinstance(value, dict | list):
        return {name: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for part, content in parts for key, leaf in flat(content, f"{name}/{part}").items()}


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return [
        name
        for name in one.keys() | other.keys()
        if not (name in one and name in other and _equal(one[name], other[name]))
    ]


def _equal(one: object, other: object) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else one == other


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)  # half a gigabyte


@pytest.mark.parametrize(
    ("settings", "kills"),
    [(EVERYTHING, [logged(1), writing("last.pt", after=2), logged(5)]), (PLAIN, [logged(3)])],
    ids=["adamw, average, bfloat16, accumulated", "sgd"],
)
def test_a_killed_and_resumed_run_equals_an_unbroken_one_bit_for_bit(folder, settings, kills):
    tiny.real_run(folder / "whole", **settings)
    for until in kills:
        assert run_in_a_process(folder / "killed", settings, until=until)
    run_in_a_process(folder / "killed", settings)
    assert differences(everything(folder / "killed"), everything(folder / "whole")) == []
    assert list((folder / "killed").glob(".*.partial")) == []


def test_how_often_checkpoints_are_written_changes_nothing(folder):
    often = {**PLAIN, "steps": 4, "checkpoint_every": 1}
    tiny.real_run(folder / "often", **often)
    tiny.real_run(folder / "once", **often | {"checkpoint_every": 100})
    found = differences(everything(folder / "often"), everything(folder / "once"))
    assert all("settings" in name for name in found)


def test_evaluating_changes_no_weight(folder):
    tiny.real_run(folder / "often", **PLAIN, steps=4, evaluate_every=1)
    tiny.real_run(folder / "once", **PLAIN, steps=4, evaluate_every=4)
    found = differences(everything(folder / "often"), everything(folder / "once"))
    assert not any(name.startswith("/checkpoint/model") for name in found)
