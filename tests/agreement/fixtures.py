"""Recorded outputs of other libraries on weights that can be made again, and how they are compared."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

CHOSEN = os.environ.get("MASKRCNN_AGREEMENT")
FOLDER = Path(CHOSEN or Path(__file__).parents[2].parent / "shared" / "agreement")
TOLERANCE = 1e-9


@dataclass
class Fixture:
    """One model of a peer: its checkpoint, its image and what it computed at every stage."""

    name: str
    meta: dict
    state: dict[str, Tensor]
    image: Tensor
    expected: dict[str, np.ndarray]


def fixture_names() -> list[str]:
    """`<peer>/<model>` of every fixture; one that is not there, so that the test is skipped, where there are none."""
    names = sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.glob("*/*/meta.json"))
    if CHOSEN and not names:
        raise FileNotFoundError(f"MASKRCNN_AGREEMENT={CHOSEN}: holds no fixture <peer>/<model>/meta.json")
    return names or ["torchvision/maskrcnn_resnet50_fpn"]


def load_fixture(name: str) -> Fixture:
    """Read `<peer>/<model>`; skips the test where the folder of fixtures is absent."""
    folder = FOLDER / name
    if not folder.is_dir():
        pytest.skip(f"no recorded outputs at {folder}; set MASKRCNN_AGREEMENT to the folder that holds them")
    meta = json.loads((folder / "meta.json").read_text())
    tensors = json.loads((folder / "tensors.json").read_text())
    state = _fill_module().fill(tensors, meta["seed"], meta["scale"], meta["bias"])
    assert _hash(state) == meta["state_sha256"], f"{name}: the rule gives other weights here than where it was recorded"
    from maskrcnn.data.images import read_image

    return Fixture(name, meta, state, read_image(folder / "input.png"), dict(np.load(folder / "expected.npz")))


def _hash(state: dict[str, Tensor]) -> str:
    """SHA-256 of names and little-endian bytes in order: tells other random numbers from another model."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _fill_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("agreement_fill", FOLDER / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_close(
    ours: Tensor | np.ndarray | float, theirs: np.ndarray, what: str, tolerance: float = TOLERANCE
) -> None:
    """Equal within `tolerance` relative to max(1, |value|)."""
    ours = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, expected {theirs.shape}"
    distance = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
    worst = distance.max(initial=0)
    assert worst <= tolerance, f"{what}: off by {worst:.3g} of max(1, |value|), allowed {tolerance}"


def assert_sampled(ours: Tensor, expected: dict[str, np.ndarray], key: str) -> None:
    """Equal where the fixture sampled the array, and of the same shape."""
    assert tuple(ours.shape) == tuple(expected[f"{key}.shape"]), key
    picked = ours.detach().reshape(-1)[torch.from_numpy(expected[f"{key}.index"].astype(np.int64))]
    assert_close(picked, expected[f"{key}.value"], key)


def unpack(expected: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Boolean array stored as packed bits."""
    shape = tuple(expected[f"{key}.shape"])
    return np.unpackbits(expected[f"{key}.bits"], count=int(np.prod(shape))).reshape(shape).astype(bool)
