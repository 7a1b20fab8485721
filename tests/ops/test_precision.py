import pytest
import torch

from maskrcnn.ops import precision
from maskrcnn.ops.precision import at_least_float32, autocast, bfloat16_is_fast

CPU = torch.device("cpu")


def product_type(name, device=CPU):
    with autocast(name, device):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_the_precision_asked_for_is_used():
    assert product_type("bfloat16") == torch.bfloat16
    assert product_type("float32") == torch.float32


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_where_it_is_fast(monkeypatch, fast, expected):
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda device: fast)
    assert product_type("auto") == expected


def test_bfloat16_is_not_taken_for_fast_on_other_devices():
    assert not bfloat16_is_fast(torch.device("mps"))
    assert isinstance(bfloat16_is_fast(CPU), bool)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_float32_and_the_rest_stays(given, expected):
    assert at_least_float32(torch.ones(2, dtype=given)).dtype == expected
