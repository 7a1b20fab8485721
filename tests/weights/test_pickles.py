import builtins
import codecs
import io
import os
import pickle
import pickletools
import struct
from collections import OrderedDict

import numpy as np
import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.weights.pickles import ALLOWED, Inert, SafeUnpickler, read_pickle, to_tensor

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
    assert error is None or error.startswith("zoo.pkl: it ")


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
    import tracemalloc

    tracemalloc.start()
    error = error_of(content)
    assert error is None or error.startswith("zoo.pkl: it is no whole pickle")
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_an_array_that_claims_to_be_larger_than_its_bytes_is_refused():
    content = pickle.dumps({"w": np.zeros((2, 3), np.float32)}, 2)
    assert content.count(b"K\x02K\x03\x86") == 1
    with pytest.raises(WeightsError, match="w.pkl: "):
        read_pickle(content.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fK\x03\x86"), "w.pkl")


def test_where_it_is_allowed_other_objects_are_inert(tmp_path):
    mark = tmp_path / "ran"
    content = pickle.dumps([Call(os.mkdir, str(mark)), {"kept": 1}], 2)
    value = SafeUnpickler(io.BytesIO(content), allowed=ALLOWED, lenient=True).load()
    assert value[1] == {"kept": 1}
    assert isinstance(value[0], Inert)
    assert value[0].origin.endswith("mkdir")
    assert not mark.exists()


def test_inert_objects_take_every_state_and_item():
    from collections import deque

    content = pickle.dumps({"log": deque([1, 2], maxlen=5), "day": __import__("datetime").date(2020, 1, 2)}, 4)
    value = SafeUnpickler(io.BytesIO(content), allowed=ALLOWED, lenient=True).load()
    assert (value["log"].origin, value["day"].origin) == ("collections.deque", "datetime.date")


def test_what_is_no_array_is_no_tensor():
    assert to_tensor("text") is None
    assert to_tensor(3.0) is None
    assert torch.equal(to_tensor(torch.ones(2)), torch.ones(2))
