import builtins
import codecs
import datetime
import io
import os
import pickle
import pickletools
import struct
import tracemalloc
import zipfile
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.weights import pickles, unpickler
from maskrcnn.weights.files import read_tensors
from maskrcnn.weights.pickles import (
    COUNT,
    LEGACY,
    MAGIC,
    read_pickle,
    read_restricted,
    read_torch,
    to_tensor,
)
from maskrcnn.weights.unpickler import ALLOWED, Inert, Room, room_for_values
from tests.builders.attacks import Attack

ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(3, dtype=">f4"),
    "half": np.float16([0.5]),
    "flags": np.array([True, False]),
    "count": np.int64([[2**40]]),
    "none": np.zeros((0, 4), np.float32),
    "one": np.array(3.0),
}


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *values):
        self.function, self.values = function, values

    def __reduce__(self):
        return self.function, self.values


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_come_back(protocol):
    read = read_pickle(pickle.dumps({"model": ARRAYS, "__author__": "me", "ok": True}, protocol), "zoo.pkl")
    assert (read["__author__"], read["ok"]) == ("me", True)
    for name, array in ARRAYS.items():
        tensor = to_tensor(read["model"][name])
        assert torch.equal(tensor, torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))), name
        assert tensor.shape == array.shape


def test_numpy_s_older_name_of_its_own_module_is_known():
    content = pickle.dumps({"w": ARRAYS["float"]}, 2).replace(b"cnumpy._core.", b"cnumpy.core.")
    assert b"numpy.core.multiarray" in content
    assert to_tensor(read_pickle(content, "old.pkl")["w"]).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_pickle_of_python_2_holds_its_bytes_as_text():
    content = b"\x80\x02}U\x06conv_wcnumpy.core.multiarray\n_reconstruct\n"
    content += b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
    content += b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
    content += struct.pack("<ff", 1.5, -200.0) + b"tbs."
    pickletools.dis(content, io.StringIO())
    read = read_pickle(content, "detectron.pkl")
    assert {name: to_tensor(one).tolist() for name, one in read.items()} == {"conv_w": [1.5, -200.0]}


def test_plain_containers_and_numbers_come_back():
    value = OrderedDict(a=[1, 2.5, None], b=({1}, frozenset({2}), b"\xff\x00", "ü"), c=np.float32(0.5), d=2**80)
    read = read_pickle(pickle.dumps(value, 2), "plain.pkl")
    assert read == value
    assert isinstance(read["c"], float)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "values"),
    [
        (os.mkdir, ()),
        (os.system, ()),
        (builtins.eval, ("1",)),
        (builtins.exec, ("1",)),
        (builtins.getattr, (1, "real")),
        (np.load, ("x",)),
        (np.frombuffer, (b"abcd",)),
        (pickle.loads, (b"N.",)),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_other_functions_are_refused_by_name_and_not_called(tmp_path, protocol, function, values):
    mark = tmp_path / "ran"
    values = {os.mkdir: (str(mark),), os.system: (f"touch {mark}",)}.get(function, values)
    content = pickle.dumps({"model": {"w": Call(function, *values)}}, protocol)
    with pytest.raises(WeightsError, match=rf"zoo.pkl: .*\.{function.__name__}"):
        read_pickle(content, "zoo.pkl")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy", "ndarray.tofile"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"),
        ("collections", "OrderedDict.__init__.__globals__"),
        ("maskrcnn.weights.pickles", "os"),
        ("builtins", "set.__class__"),
    ],
)
def test_names_that_look_like_numpy_s_are_refused(module, name):
    content = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name)) + b"\x93."
    with pytest.raises(WeightsError, match=rf"zoo.pkl: .*{module}.{name}"):
        read_pickle(content, "zoo.pkl")


def test_numbers_of_registered_extensions_are_refused():
    with pytest.raises(WeightsError, match="zoo.pkl: .*extension 1"):
        read_pickle(b"\x80\x02\x82\x01.", "zoo.pkl")


def test_an_encoding_other_than_latin_1_is_refused():
    assert read_pickle(pickle.dumps(Call(codecs.encode, "ÿ", "latin1"), 2), "x") == b"\xff"
    with pytest.raises(WeightsError, match="x: .*'rot13'"):
        read_pickle(pickle.dumps(Call(codecs.encode, "x", "rot13"), 2), "x")


def test_arrays_of_objects_are_refused():
    with pytest.raises(WeightsError, match="zoo.pkl: .*'O8'"):
        read_pickle(pickle.dumps({"w": np.array([None])}), "zoo.pkl")


def snapshot() -> dict[str, tuple]:
    return {
        name: (getattr(one, "__defaults__", None), dict(vars(one)))
        for name, one in ALLOWED.items()
        if hasattr(one, "__dict__")
    }


@pytest.mark.parametrize("name", ["numpy\nndarray", "_codecs\nencode", "collections\nOrderedDict", "numpy\ndtype"])
@pytest.mark.parametrize("state", [b"}U\x01aK\x01s", b"N}U\x0c__defaults__)s\x86"], ids=["attribute", "slot"])
def test_a_file_cannot_change_the_classes_that_read_it(name, state):
    before = snapshot()
    read_pickle(b"\x80\x02" + f"c{name}\n".encode() + state + b"b.", "zoo.pkl")
    assert snapshot() == before


def error_of(content: bytes) -> str | None:
    try:
        read_pickle(content, "zoo.pkl")
    except WeightsError as error:
        return str(error)
    return None


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_file_that_was_cut_off_or_damaged_never_gives_another_error(place):
    content = pickle.dumps({"model": ARRAYS}, 2)
    place = place * len(content) // 400
    with pytest.raises(WeightsError, match=r"zoo\.pkl: "):
        read_pickle(content[:place], "zoo.pkl")
    error = error_of(content[:place] + b"\x93" + content[place + 1 :])
    assert error is None or error.startswith("zoo.pkl: ")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x05\x8e" + struct.pack("<Q", 2**62) + b"abc.",  # BINBYTES8
        b"\x80\x05\x96" + struct.pack("<Q", 2**30) + b"abc.",  # BYTEARRAY8
        b"\x80\x05\x8d" + struct.pack("<Q", 2**50) + b"abc.",  # BINUNICODE8
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",  # FRAME
        b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b"abc.",  # BINSTRING
    ],
    ids=["bytes", "bytearray", "text", "frame", "string"],
)
def test_a_file_that_claims_to_be_huge_costs_no_memory(content):
    tracemalloc.start()
    error = error_of(content)
    assert error is None or error.startswith("zoo.pkl: ")
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_an_array_that_claims_to_be_larger_than_its_bytes_is_refused():
    content = pickle.dumps({"w": np.zeros((2, 3), np.float32)}, 2)
    assert content.count(b"K\x02K\x03\x86") == 1
    with pytest.raises(WeightsError, match="w.pkl: "):
        read_pickle(content.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fK\x03\x86"), "w.pkl")


def test_what_is_no_array_is_no_tensor():
    assert to_tensor("text") is None
    assert to_tensor(3.0) is None
    assert torch.equal(to_tensor(torch.ones(2)), torch.ones(2))


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
        "meta": {"cfg": "text", "attack": Attack(tmp_path / "ran"), "other": AttackBySetting(tmp_path / "too")},
    }
    read = read_restricted(saved(run, zipped), "run.pth")
    assert torch.equal(read["state_dict"]["whole"], STATE["whole"])
    assert read["meta"]["cfg"] == "text"
    inert = (read["message_hub"]["log"], read["message_hub"]["day"], read["meta"]["attack"])
    assert all(isinstance(one, Inert) for one in inert)
    assert [one.origin for one in inert] == ["collections.deque", "datetime.date", f"{os.mkdir.__module__}.mkdir"]
    assert os.listdir(tmp_path) == []


@both
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_named(zipped, share):
    content = saved(STATE, zipped)
    with pytest.raises(WeightsError, match=r"cut\.pth: "):
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
    with pytest.raises(ValueError, match="longer than the file"):
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
    with pytest.raises(WeightsError, match="other.pth: "):
        read_restricted(content, "other.pth")


@pytest.fixture
def only_torch(monkeypatch):
    """Our own reader gives None."""
    monkeypatch.setattr(pickles, "read_restricted", lambda content, source: None)


def test_torch_itself_reads_a_whole_archive_of_plain_values(only_torch, tmp_path):
    torch.save({"state": STATE, "step": 7}, tmp_path / "model.pth")
    read = read_torch(tmp_path / "model.pth")
    assert read["step"] == 7
    assert all(torch.equal(read["state"][name], tensor) for name, tensor in STATE.items())


def test_torch_is_not_asked_for_what_it_may_not_withstand(only_torch, tmp_path, monkeypatch):
    path = tmp_path / "model.pth"
    torch.save(STATE, path)
    content = path.read_bytes()
    monkeypatch.setattr(pickles, "SAFE_SINCE", "99.0")
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


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


NESTED = b"K\x01" + b"2\x86" * 60  # a tuple that holds itself twice at each of 60 levels
KEYS = {
    "dictionary": b"}" + NESTED + b"K\x01s.",
    "entries": b"}(" + NESTED + b"K\x01u.",
    "old dictionary": b"(" + NESTED + b"K\x01d.",
    "set": b"c__builtin__\nset\n(](" + NESTED + b"etR.",
    "frozenset": b"c__builtin__\nfrozenset\n(](" + NESTED + b"etR.",
    "new set": b"\x8f(" + NESTED + b"\x90.",
    "new frozenset": b"(" + NESTED + b"\x91.",
    "ordered": b"ccollections\nOrderedDict\n(](" + NESTED + b"K\x01\x86etR.",
    "type": b"cnumpy\ndtype\n(" + NESTED + b"tR.",
    "encoding": b"c_codecs\nencode\n(" + text("x") + NESTED + b"tR.",
}
LONG = text("a" * (1 << 20)) + b"q\x010"
BYTES = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"q\x010"
BYTES += b"cnumpy\ndtype\n(" + text("u1") + b"K\x00K\x01tRq\x030"
BUFFER = b"h\x02(h\x01h\x03J" + struct.pack("<i", 1 << 20) + b"\x85" + text("C") + b"tR"
LIST = b"](" + b"K\x01" * (1 << 14) + b"eq\x010"
PAIRS = b"](" + b"".join(b"J" + struct.pack("<i", n) + b"N\x86" for n in range(2000)) + b"eq\x010"
COPIES = {
    "text": LONG + b"c_codecs\nencode\nq\x020](" + b"h\x02(h\x01tR" * 3000 + b"e.",
    "arrays": BYTES + b"cnumpy.core.numeric\n_frombuffer\nq\x020](" + BUFFER * 3000 + b"e.",
    "tuples": LIST + b"ctorch\nSize\nq\x020](" + b"h\x02(h\x01tR" * 1500 + b"e.",
    "dictionaries": PAIRS + b"ccollections\nOrderedDict\nq\x020](" + b"h\x02(h\x01tR" * 1500 + b"e.",
    "empty": b"](" + b"}" * (1 << 18) + b"e.",
}
IN_FILES = {
    "pickle": lambda program: read_pickle(b"\x80\x02" + program, "bomb.pth"),
    "zip": lambda program: read_restricted(archive({"data.pkl": program}), "bomb.pth"),
    "legacy": lambda program: read_restricted(
        LEGACY + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + program, "bomb.pth"
    ),
}


@pytest.mark.parametrize("read", IN_FILES.values(), ids=IN_FILES)
@pytest.mark.parametrize("program", KEYS.values(), ids=KEYS)
def test_a_container_as_a_key_is_refused_at_once(program, read):
    with pytest.raises(WeightsError, match=r"bomb\.pth"):
        read(program)


@pytest.mark.parametrize("program", COPIES.values(), ids=COPIES)
def test_a_file_cannot_ask_for_the_same_copy_again_and_again(program, monkeypatch):
    monkeypatch.setattr(unpickler, "SPARE", 1 << 20)
    with pytest.raises(WeightsError, match=r"bomb\.pth"):
        read_pickle(b"\x80\x02" + program, "bomb.pth")


def test_values_may_take_several_times_the_size_of_their_file():
    assert room_for_values(1000).left == unpickler.SPARE + 4000


def test_torch_s_own_reader_gets_no_container_as_a_key(tmp_path):
    (tmp_path / "bomb.pth").write_bytes(archive({"data.pkl": KEYS["dictionary"], "version": b"3\n"}))
    with pytest.raises(WeightsError, match=r"bomb\.pth"):
        read_torch(tmp_path / "bomb.pth")


@pytest.mark.parametrize("key", [NESTED, b"N"], ids=["endless as text", "none"])
def test_a_storage_needs_a_name(key):
    program = tensor_program(b"K\x02\x85").replace(text("0"), key)
    with pytest.raises(WeightsError, match=r"bomb\.pth"):
        read_restricted(archive({"data.pkl": program, "data/0": bytes(8)}), "bomb.pth")


def test_a_shape_of_containers_is_refused():
    program = tensor_program(b"(K\x01\x85J\xff\xff\xff\x7ft")  # a tuple times 2 ** 31
    with pytest.raises(WeightsError, match=r"bomb\.pth"):
        read_restricted(archive({"data.pkl": program, "data/0": bytes(8)}), "bomb.pth")


def test_an_array_without_a_state_is_no_tensor():
    program = b"\x80\x02}" + text("w") + b"cnumpy.core.multiarray\n_reconstruct\n)\x81s."
    assert to_tensor(read_pickle(program, "x")["w"]) is None
