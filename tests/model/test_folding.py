import pytest
import torch
from torch import nn

from maskrcnn.model.folding import prepare_for_prediction
from maskrcnn.model.norms import FrozenBatchNorm
from tests.model.small import fill_norms, small_batch, small_model, small_settings


def model(norm: str = "frozen_batch"):
    made = small_model(small_settings(norm))
    fill_norms(made)
    return made


def test_a_folded_model_is_the_same_function():
    batch = small_batch(dtype=torch.float64)
    plain = model().double()
    expected, features = plain.predict(batch), plain.body(batch.images)
    folded = prepare_for_prediction(plain, torch.float64)
    for level, map in folded.body(batch.images).items():
        torch.testing.assert_close(map, features[level], rtol=0, atol=1e-10)
    for found, other in zip(folded.predict(batch), expected):
        assert len(found) > 0
        torch.testing.assert_close(found.boxes, other.boxes, rtol=0, atol=1e-10)
        torch.testing.assert_close(found.scores, other.scores, rtol=0, atol=1e-10)
        torch.testing.assert_close(found.masks.probabilities, other.masks.probabilities, rtol=0, atol=1e-10)


def test_no_frozen_norm_is_left_and_nothing_learns():
    folded = prepare_for_prediction(model(), torch.float32)
    assert not [one for one in folded.modules() if isinstance(one, FrozenBatchNorm)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not folded.training


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_other_norms_stay(norm):
    kind = {"batch": nn.BatchNorm2d, "group": nn.GroupNorm}[norm]
    count = sum(isinstance(one, kind) for one in model(norm).modules())
    folded = prepare_for_prediction(model(norm), torch.float32)
    assert sum(isinstance(one, kind) for one in folded.modules()) == count > 0


@pytest.mark.parametrize("norm", ["frozen_batch", "group"])
def test_a_bfloat16_model_scores_in_float32(norm):
    folded = prepare_for_prediction(model(norm), torch.bfloat16)
    exact = {name for name, one in folded.named_parameters() if one.dtype == torch.float32}
    assert exact == {f"box_head.{layer}.{part}" for layer in ("logits", "deltas") for part in ("weight", "bias")}
    found = folded.predict(small_batch(dtype=torch.bfloat16))[0]
    assert len(found) > 0
    assert {found.boxes.dtype, found.scores.dtype, found.masks.probabilities.dtype} == {torch.float32}


def test_a_folded_model_is_channels_last():
    folded = prepare_for_prediction(model(), torch.bfloat16)
    kernels = [parameter for parameter in folded.parameters() if parameter.ndim == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
