"""Masks of the same logits and boxes have the pixels that detectron2 and mmdetection recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskrcnn.structures.predicted_masks import SoftMasks

from .fixtures import FOLDER, fixture_names, unpack


def has_sampled_masks(name: str) -> bool:
    file = FOLDER / name / "expected.npz"
    return not name.startswith("torchvision/") and file.is_file() and "pasted.bits" in np.load(file).files


MODELS = [name for name in fixture_names() if has_sampled_masks(name)]


def recorded_probabilities(expected: dict[str, np.ndarray]) -> torch.Tensor:
    """[3, m, m]: one head's, or the mean over the heads of a cascade."""
    keys = ["mask.logits"] if "mask.logits" in expected else [f"mask.logits.stage{stage}" for stage in range(3)]
    return torch.stack([torch.from_numpy(expected[key][:3]).sigmoid() for key in keys]).mean(dim=0)


@pytest.mark.parametrize("name", MODELS)
def test_pasted_masks_are_equal_in_every_pixel(name: str) -> None:
    file = FOLDER / name / "expected.npz"
    with np.load(file) as arrays:
        expected = dict(arrays)
    bitmaps = unpack(expected, "pasted")
    boxes = torch.from_numpy(expected["det.boxes"][:3])
    masks = SoftMasks(recorded_probabilities(expected), boxes, bitmaps.shape[1:], "sampled")
    assert bitmaps.any(axis=(1, 2)).all()
    for i, bitmap in enumerate(bitmaps):
        assert (masks.bitmap(i) == bitmap).all()
