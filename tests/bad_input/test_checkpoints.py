"""Checkpoints that cannot be used, from the command line: one message, nothing run and nothing written."""

import pickle
import re

import pytest
import torch
from PIL import Image

from maskrcnn.structures.classes import Classes
from maskrcnn.weights.own import load_weights, save_weights
from tests.builders.attacks import Attack


def cut(path, whole, part=0.6):
    content = whole.read_bytes()
    path.write_bytes(content[: int(part * len(content))])


def make_cut_of_ours(folder, tiny_weights):
    cut(folder / "weights.safetensors", tiny_weights)


def make_empty(folder, tiny_weights):
    (folder / "weights.safetensors").touch()


def make_cut_of_torch(folder, tiny_weights):
    torch.save(load_weights(tiny_weights).state, folder / "whole.bin")
    cut(folder / "weights.pth", folder / "whole.bin")
    (folder / "whole.bin").unlink()


def make_other_class_count(folder, tiny_weights):
    weights = load_weights(tiny_weights)
    save_weights(folder / "weights.safetensors", weights.state, weights.settings, Classes(("a", "b"), (1, 2)))


def make_other_layers(folder, tiny_weights):
    weights = load_weights(tiny_weights)
    state = {name: tensor for name, tensor in weights.state.items() if not name.startswith("neck.")}
    save_weights(folder / "weights.safetensors", state, weights.settings, weights.classes)


def make_pickle(folder, tiny_weights):
    (folder / "weights.pth").write_bytes(pickle.dumps(Attack(folder / "executed"), 2))


def make_disguised_pickle(folder, tiny_weights):
    (folder / "weights.safetensors").write_bytes(pickle.dumps(Attack(folder / "executed")))


def make_torch_file_with_code(folder, tiny_weights):
    torch.save(
        {"model": load_weights(tiny_weights).state, "extra": Attack(folder / "executed")}, folder / "weights.pth"
    )


BROKEN = {
    make_cut_of_ours: "safetensors",
    make_empty: "0 bytes",
    make_cut_of_torch: r"torch\.save",
    make_other_class_count: r"5 classes.* 2\.",
    make_other_layers: r"neck\.\S* is missing",
    make_pickle: r"\w+\.mkdir",
    make_disguised_pickle: r"\w+\.mkdir",
    make_torch_file_with_code: r"best\.safetensors",
}
"""What the one message says beside the name of the file."""


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_checkpoint_that_cannot_be_used_gives_one_message(tmp_path, monkeypatch, tiny_weights, run_cli, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, tiny_weights)
    Image.new("RGB", (40, 30)).save("a.png")
    name = next(path.name for path in tmp_path.glob("weights.*"))
    done = run_cli("predict", "a.png", "--weights", name, "--output", "out")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(rf"Error: {re.escape(name)}: .*{BROKEN[make]}.*\n", done.err)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("make", [make_pickle, make_disguised_pickle])
def test_such_an_attack_would_run_if_it_were_unpickled(tmp_path, tiny_weights, make):
    make(tmp_path, tiny_weights)
    with next(tmp_path.glob("weights.*")).open("rb") as file:
        pickle.load(file)
    assert (tmp_path / "executed").is_dir()
