"""What tests of several folders need: a small model of random weights, and the command line in this process."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from maskrcnn.cli.main import main
from maskrcnn.config import ModelSettings
from maskrcnn.data.confinement import VARIABLE
from maskrcnn.structures.classes import Classes

TINY = {
    "input": {"min_size": 96, "max_size": 192},
    "backbone": {"name": "resnet18", "norm": "group", "frozen_stages": 0},
    "neck": {"channels": 32},
    "anchors": {"sizes": (8, 16, 32, 48, 64)},
    "rpn": {"pre_nms_top_n": 100, "post_nms_top_n": 100},
    "box_head": {"channels": 32},
    "mask_head": {"channels": 16, "convolutions": 1},
}
CLASSES = Classes(("circle", "square", "triangle", "star", "cross"), (1, 2, 3, 4, 5))


def require_openvino() -> None:
    """Skip a test where OpenVINO is not installed, without importing it."""
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is an extra: pip install maskrcnn[openvino]")


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run_cli(monkeypatch, capsys):
    """Run `maskrcnn` with some words in this process; returns exit code, output and messages."""

    def run(*words: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["maskrcnn", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return Finished(stopped.value.code or 0, *capsys.readouterr())

    monkeypatch.setenv(VARIABLE, "")  # what --allow-outside sets ends with the test
    return run


@pytest.fixture(scope="session")
def tiny_settings() -> ModelSettings:
    return ModelSettings.model_validate(TINY)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory, tiny_settings) -> Path:
    """Weights of a small model that finds many objects of random classes everywhere."""
    from maskrcnn.model.build import build_model
    from maskrcnn.weights.own import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, build_model(tiny_settings, len(CLASSES)).state_dict(), tiny_settings, CLASSES)
    return path
