import platform
import subprocess
import sys

import pytest
import torch

from maskrcnn.errors import SettingError
from maskrcnn.ops import devices
from maskrcnn.ops.devices import at_least_float32, autocast, bfloat16_is_fast, carry, choose_device


def test_a_device_is_taken_by_its_name():
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_without_a_name_cuda_is_taken_where_it_is_there(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device(None).type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meat", ""])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(SettingError, match=f"device {name}: "):
        choose_device(name)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_values_are_the_same_where_they_are_carried(device):
    values = torch.arange(3)
    assert carry(values, device).tolist() == [0, 1, 2]
    assert carry(values, "meta").device.type == "meta"


CPU = torch.device("cpu")


def product_type(name, device=CPU):
    with autocast(name, device):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_the_precision_asked_for_is_used():
    assert product_type("bfloat16") == torch.bfloat16
    assert product_type("float32") == torch.float32


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bfloat16_where_it_is_fast(monkeypatch, fast, expected):
    monkeypatch.setattr(devices, "bfloat16_is_fast", lambda device: fast)
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


SCRIPT = """
import resource, sys, torch
from maskrcnn.ops.devices import keep_freed_memory
keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(10):  # glibc uses its padding up before it looks for a gap
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)  # 64 MiB, 16384 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    return int(subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_used_again_without_new_page_faults():
    assert faults("keep") < 1000
    # Without it each tensor comes fresh from the kernel, in pages of 4 KiB or, at best, of 2 MiB.
    assert faults("as it is") >= 10 * 32
