import pytest
import torch
from torch import Tensor

from maskrcnn.model.inference.chunking import compute_in_blocks, round_up_count


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
