import datetime
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.weights import torch_files
from maskrcnn.weights.files import read_tensors
from maskrcnn.weights.pickles import Inert
from maskrcnn.weights.torch_files import COUNT, LEGACY, MAGIC, Room, read_restricted, read_torch
from tests.builders.attacks import Attack

SHARED = torch.arange(12.0)
STATE = {
    "whole": torch.arange(6.0).reshape(2, 3),
    "view": SHARED[4:8],
    "turned": SHARED.reshape(3, 4).t(),
    "half": torch.tensor([0.5], dtype=torch.float16),
    "brain": torch.tensor([0.5, 2], dtype=torch.bfloat16),
    "double": torch.tensor(1 / 3, dtype=torch.float64),
    "count": torch.tensor(2**40),
    "flags": torch.tensor([True, False]),
    "bytes": torch.tensor([1, 255], dtype=torch.uint8),
    "none": torch.zeros(0, 4),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "last": torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last),
}
both = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def saved(value: object, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


class AttackBySetting(Attack):
    def __reduce__(self):
        return object, (), None, None, iter([(Attack(self.mark), 1)])


@both
def test_tensors_of_all_kinds_come_back(zipped):
    read = read_restricted(saved(STATE, zipped), "file.pth")
    assert read.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor.detach()), name


@both
def test_a_module_s_state_with_its_hidden_attribute_comes_back(zipped):
    model = torch.nn.BatchNorm2d(3)
    read = read_restricted(saved({"model": model.state_dict(), "iteration": 7}, zipped), "file.pth")
    assert read["iteration"] == 7
    assert isinstance(read["model"], OrderedDict)
    assert torch.equal(read["model"]["running_var"], torch.ones(3))


@both
def test_objects_of_a_training_run_are_inert_and_the_tensors_are_read(zipped, tmp_path):
    run = {
        "state_dict": STATE,
        "message_hub": {"log": deque([np.float64(0.5)]), "day": datetime.date(2020, 1, 2), "seed": np.arange(3)},
        "meta": {
            "cfg": "model = dict()",
            "attack": Attack(tmp_path / "ran"),
            "other": AttackBySetting(tmp_path / "too"),
        },
    }
    read = read_restricted(saved(run, zipped), "run.pth")
    assert torch.equal(read["state_dict"]["whole"], STATE["whole"])
    assert read["meta"]["cfg"] == "model = dict()"
    assert isinstance(read["meta"]["attack"], Inert)
    assert read["meta"]["attack"].origin.endswith(".mkdir")
    assert isinstance(read["message_hub"]["log"], Inert)
    assert os.listdir(tmp_path) == []


@both
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_named(zipped, share):
    content = saved(STATE, zipped)
    with pytest.raises(WeightsError, match=r"cut\.pth: .*torch\.save"):
        read_restricted(content[: int(share * len(content))], "cut.pth")


@both
def test_a_damaged_file_never_gives_another_error(zipped):
    content = saved({"weight": torch.arange(3.0), "count": torch.tensor(3)}, zipped)
    for place in range(0, len(content), 5):
        for byte in (b"\x93", b"\x00"):
            try:
                read_restricted(content[:place] + byte + content[place + 1 :], "damaged.pth")
            except WeightsError:
                continue


def archive(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in parts.items():
            made.writestr(f"archive/{name}", content)
    return file.getvalue()


def tensor_program(size: bytes, count: bytes = b"K\x02") -> bytes:
    """Pickle of one tensor of 2 numbers, or of what else it claims."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + b"tQ"
    rest = b"K\x00" + size + b"K\x00\x85\x89ccollections\nOrderedDict\n)RtR."
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest


def test_a_compressed_part_is_refused_before_it_grows():
    parts = {"data.pkl": tensor_program(b"K\x02\x85"), "data/0": struct.pack("<ff", 1, 2)}
    assert read_restricted(archive(parts), "file.pth").tolist() == [1, 1]  # stride 0
    with pytest.raises(WeightsError, match="file.pth: "):
        read_restricted(archive(parts, zipfile.ZIP_DEFLATED), "file.pth")


@pytest.mark.parametrize(
    "program",
    [
        tensor_program(b"J\xff\xff\xff\x7f\x85"),  # a shape that repeats two numbers 2 ** 31 times
        tensor_program(b"K\x02\x85", b"J\xff\xff\xff\x7f"),  # a storage longer than its part
        tensor_program(b"K\x02\x85", b"J\xff\xff\xff\xff"),
    ],
    ids=["shape", "storage", "negative"],
)
def test_sizes_beyond_the_file_are_refused(program):
    with pytest.raises(WeightsError, match="file.pth: "):
        read_restricted(archive({"data.pkl": program, "data/0": struct.pack("<ff", 1, 2)}), "file.pth")


def test_parts_cannot_claim_more_than_the_file_has():
    room = Room(10)
    room.take(4)
    room.take(6)
    with pytest.raises(ValueError, match="the parts are longer than the file"):
        room.take(1)


def test_a_storage_of_the_old_format_beyond_the_file_is_refused():
    parts = [MAGIC, 1001, {"little_endian": True}]
    program = tensor_program(b"K\x02\x85", b"\x8a\x06\x00\x00\x00\x00\x00\x01")
    content = b"".join(pickle.dumps(one, 2) for one in parts) + program + pickle.dumps(["0"], 2) + COUNT.pack(2**40)
    assert content.startswith(LEGACY)
    with pytest.raises(WeightsError, match="file.pth: "):
        read_restricted(content, "file.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02N.", b"<html>", archive({"code/model.py": b"x"})])
def test_a_file_of_another_kind_is_named(content):
    with pytest.raises(WeightsError, match="other.pth: .*torch.save"):
        read_restricted(content, "other.pth")


@pytest.fixture
def only_torch(monkeypatch):
    """Our own reader gives None."""
    monkeypatch.setattr(torch_files, "read_restricted", lambda content, source: None)


def test_torch_itself_reads_a_whole_archive_of_plain_values(only_torch, tmp_path):
    torch.save({"state": STATE, "step": 7}, tmp_path / "model.pth")
    read = read_torch(tmp_path / "model.pth")
    assert read["step"] == 7
    assert all(torch.equal(read["state"][name], tensor) for name, tensor in STATE.items())


def test_torch_is_not_asked_for_what_it_may_not_withstand(only_torch, tmp_path, monkeypatch):
    path = tmp_path / "model.pth"
    torch.save(STATE, path)
    content = path.read_bytes()
    monkeypatch.setattr(torch_files, "SAFE_SINCE", "99.0")
    assert read_torch(path) is None
    monkeypatch.undo()
    for damaged in (content.replace(SHARED.numpy().tobytes(), bytes(48)), content[:-100]):
        assert damaged != content
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="model.pth"):
            read_torch(path)


@pytest.mark.parametrize("program", [tensor_program(b"J\xff\xff\xff\x7f\x85"), b"\x80\x02N."], ids=["huge", "none"])
def test_a_tensor_that_claims_more_numbers_than_the_file_has_is_refused_whoever_reads_it(tmp_path, program):
    program = b"\x80\x02}X\x01\x00\x00\x00w" + program[2:-1] + b"s."
    path = tmp_path / "model.pth"
    path.write_bytes(archive({"data.pkl": program, "data/0": struct.pack("<ff", 1, 2), "version": b"3\n"}))
    with pytest.raises(WeightsError, match="model.pth"):
        read_tensors(path)


@pytest.mark.parametrize(
    "tensor",
    [torch.eye(3).to_sparse(), torch.zeros(2, device="meta"), torch.zeros(1).expand(10**6)],
    ids=["sparse", "meta", "repeated"],
)
def test_tensors_without_a_number_for_each_place_are_named(tmp_path, tensor):
    torch.save({"odd": tensor}, tmp_path / "model.pth")
    with pytest.raises(WeightsError, match=r"model\.pth: "):
        read_tensors(tmp_path / "model.pth")


@pytest.mark.parametrize("function", [b"c__builtin__\nbytearray", b"ctorch\nTensor", b"ccollections\nCounter"])
def test_a_program_that_asks_for_memory_is_not_given_to_torch(only_torch, tmp_path, function):
    path = tmp_path / "model.pth"
    path.write_bytes(archive({"data.pkl": b"\x80\x02" + function + b"\nJ\x00\x00\x00\x10\x85R.", "version": b"3\n"}))
    assert read_torch(path) is None
    path.write_bytes(archive({"data.pkl": b"\x80\x02}.", "version": b"3\n"}))
    assert read_torch(path) == {}
