import pytest
import torch

from maskrcnn.errors import SettingError
from maskrcnn.ops.devices import carry, choose_device


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


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_values_are_the_same_where_they_are_carried(device):
    values = torch.arange(3)
    assert carry(values, device).tolist() == [0, 1, 2]
    assert carry(values, "meta").device.type == "meta"
