import pickle

import pytest
import torch
from safetensors.torch import save, save_file

from maskrcnn.errors import WeightsError
from maskrcnn.weights import files
from maskrcnn.weights.files import find_format, read_tensors


def format_of(path, content):
    path.write_bytes(content)
    return find_format(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", [{}, {"model": {"weight": 1}, "blobs": [b"bytes"]}, Exception("an object")])
def test_every_protocol_of_pickles_is_known(tmp_path, protocol, content):
    assert format_of(tmp_path / "file.pth", pickle.dumps(content, protocol)) == "pickle"


@pytest.mark.parametrize("length", [2, 0x0280, 0x7D28, 0x7128, 0x2863, 0x99999])
def test_safetensors_are_known_whatever_the_length_of_their_header_looks_like(tmp_path, length):
    assert format_of(tmp_path / "file.pkl", length.to_bytes(8, "little") + b'{"a":') == "safetensors"
    assert format_of(tmp_path / "file.pth", save({"a": torch.ones(1)})) == "safetensors"


def test_the_suffix_counts_only_where_the_beginning_tells_nothing(tmp_path):
    suffixes = {".PTH": "torch", ".pt": "torch", ".pkl": "pickle", ".onnx": "safetensors"}
    for suffix, format_ in suffixes.items():
        assert format_of(tmp_path / f"file{suffix}", b"\x80\x02") == format_


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.pth: .*No such file"):
        find_format(tmp_path / "absent.pth")


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.uint16])
@pytest.mark.parametrize("save_to", [save_file, torch.save], ids=["safetensors", "torch"])
def test_a_type_with_which_no_model_computes_is_named(tmp_path, save_to, kind):
    save_to({"layer.weight": torch.ones(3).to(kind)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth"):
        read_tensors(tmp_path / "w.pth")


def test_tensors_that_share_their_numbers_cannot_multiply_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SPARE", 1000)
    shared = torch.ones(1000)
    torch.save({f"tied{number}": shared for number in range(3)}, tmp_path / "w.pth")
    assert len(read_tensors(tmp_path / "w.pth")[0]) == 3
    torch.save({f"layer{number}": shared for number in range(100)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth.*layer\d"):
        read_tensors(tmp_path / "w.pth")
