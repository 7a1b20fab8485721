import pytest
import torch

from maskrcnn.errors import SettingError
from maskrcnn.ops.devices import choose_device


def test_a_device_is_taken_by_its_name():
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_without_a_name_cuda_is_taken_where_it_is_there(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device(None).type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meat", ""])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(SettingError, match=rf"device {name}: it cannot be used on this machine \(.*\)\. Here there"):
        choose_device(name)
