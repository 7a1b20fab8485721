import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.model.inference import fusion
from maskrcnn.model.inference.folding import prepare_for_prediction
from maskrcnn.model.inference.fusion import compute_in_blocks, connect, convolve, round_up_count
from maskrcnn.model.norms import NormedConvolution
from tests.model.small import fill_norms, small_batch, small_model, small_settings

TOLERANCE = {torch.float64: 0.0, torch.float32: 1e-5, torch.bfloat16: 0.05}
TYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def maps(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
    return values.to(dtype).to(memory_format=torch.channels_last)


@TYPES
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize(
    "form",
    [{"kernel_size": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "groups": 2}],
    ids=str,
)
def test_one_pass_gives_what_the_steps_give(dtype, rectify, add, form):
    layer = nn.Conv2d(4, 6, **form).to(dtype).to(memory_format=torch.channels_last)
    features = maps(2, 4, 9, 11, dtype=dtype)
    with torch.no_grad():
        expected = layer(features)
        onto = maps(*expected.shape, dtype=dtype) if add else None
        expected = expected + onto if add else expected
        expected = F.relu(expected) if rectify else expected
        found = convolve(layer, features, rectify=rectify, onto=onto)
    torch.testing.assert_close(found, expected, atol=TOLERANCE[dtype], rtol=0)
    assert found.is_contiguous(memory_format=torch.channels_last)


@TYPES
def test_rows_are_multiplied_and_rectified_alike(dtype):
    layer = nn.Linear(5, 3).to(dtype)
    rows = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        found = connect(rows, layer.weight, layer.bias, rectify=True)
        torch.testing.assert_close(found, F.relu(layer(rows)), atol=TOLERANCE[dtype], rtol=0)
        torch.testing.assert_close(connect(rows, layer.weight, None), rows @ layer.weight.T, atol=0.05, rtol=0)
        assert connect(rows[:0], layer.weight, layer.bias).shape == (0, 7, 3)
        assert convolve(nn.Conv2d(4, 6, 1), torch.zeros(0, 4, 3, 3)).shape == (0, 6, 3, 3)


def test_a_norm_that_is_not_folded_comes_before_the_addition():
    layer = NormedConvolution(4, 6, kernel=3, norm="batch").eval()
    fill_norms(layer)
    features, onto = maps(1, 4, 5, 5), maps(1, 6, 5, 5)
    with torch.no_grad():
        expected = F.relu(layer(features) + onto)
        assert torch.equal(convolve(layer, features, rectify=True, onto=onto), expected)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_onednn_that_is_switched_off_is_not_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(fusion, "_computes", lambda dtype: asked.append(dtype) or True)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        convolve(nn.Conv2d(4, 6, 1), maps(1, 4, 5, 5))
        connect(torch.ones(1, 4), torch.ones(2, 4), None)
    assert not asked


def test_training_keeps_its_gradients():
    layer, features = nn.Conv2d(4, 6, 1), maps(1, 4, 5, 5)
    convolve(layer, features, rectify=True, onto=torch.zeros(1, 6, 5, 5)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    linear = nn.Linear(4, 2)
    connect(torch.ones(1, 4), linear.weight, linear.bias).sum().backward()
    assert torch.equal(linear.weight.grad, torch.ones(2, 4))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "clip_resnet50"])
def test_a_whole_pyramid_is_the_same_without_the_fast_way(name, monkeypatch):
    settings = small_settings(backbone={"name": name, "norm": "frozen_batch", "frozen_stages": 0})
    model = small_model(settings)
    fill_norms(model.backbone)
    prepare_for_prediction(model, torch.float32)
    images = small_batch().images
    with torch.no_grad():
        fast = model.features(images)
        monkeypatch.setattr(fusion, "_can_fuse", lambda weight, inputs: False)
        slow = model.features(images)
    for level in slow:
        torch.testing.assert_close(fast[level], slow[level], rtol=1e-4, atol=1e-4 * float(slow[level].abs().max()))


@pytest.mark.parametrize(("count", "rounded"), [(0, 0), (1, 32), (32, 32), (33, 64)])
def test_counts_are_rounded_up_and_what_is_added_is_empty(count, rounded):
    found = round_up_count(torch.ones(count, 2, 2, 3), 32)
    assert found.shape == (rounded, 2, 2, 3)
    assert (found[:count] == 1).all()
    assert (found[count:] == 0).all()
    assert round_up_count(torch.ones(count), 32).shape == (rounded,)


@pytest.mark.parametrize(
    ("count", "bins", "seen"),
    [
        (0, 14, [0]),
        (1, 14, [5]),
        (7, 14, [10]),
        (50, 14, [50]),
        (51, 14, [50, 5]),
        (117, 14, [50, 50, 20]),
        (450, 7, [200, 200, 60]),
        (12, 120, [10, 2]),
    ],
)
def test_prediction_on_a_cpu_takes_blocks_of_few_sizes(count, bins, seen):
    sizes = []

    def scale(pooled: Tensor, factors: Tensor) -> Tensor:
        sizes.append(len(pooled))
        return pooled[:, 0, 0] * factors[:, None]

    pooled, factors = torch.rand(count, bins, bins, 1), torch.arange(count)
    with torch.no_grad():
        found = compute_in_blocks(scale, pooled, factors)
    assert torch.equal(found, pooled[:, 0, 0] * factors[:, None])
    assert sizes == seen


def test_training_takes_all_at_once_so_that_its_gradients_are_summed_once():
    sizes = []
    values = torch.rand(70, 2, 2, 3, requires_grad=True)
    found = compute_in_blocks(lambda rows: sizes.append(len(rows)) or rows * 2, values)
    found.sum().backward()
    assert sizes == [96]
    assert torch.equal(values.grad, torch.full_like(values, 2))
