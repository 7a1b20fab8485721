import pickle

import pytest
import torch
from safetensors.torch import save

from maskrcnn.errors import WeightsError
from maskrcnn.weights.files import find_format


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
