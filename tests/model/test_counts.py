import pytest
import torch

from maskrcnn.model.counts import round_up_count


@pytest.mark.parametrize(("count", "rounded"), [(0, 0), (1, 32), (32, 32), (33, 64)])
def test_counts_become_multiples_of_32_and_what_is_added_is_empty(count, rounded):
    found = round_up_count(torch.ones(count, 2, 2, 3))
    assert found.shape == (rounded, 2, 2, 3)
    assert (found[:count] == 1).all()
    assert (found[count:] == 0).all()
