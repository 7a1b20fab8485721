import random
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from maskrcnn.data.readers import matlab
from maskrcnn.data.readers.matlab import read_matlab
from maskrcnn.errors import DataError

MAP = np.array([[0, 1, 1], [2, 2, 300]])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "?", "c16"])
def test_arrays_of_every_kind_come_back(tmp_path, kind, compressed):
    values = np.array([[0, 1, 1], [0, 1, 100]]).astype(kind)
    scipy.io.savemat(tmp_path / "a.mat", {"inst_map": values, "none": np.zeros((0, 3))}, do_compression=compressed)
    read = read_matlab(tmp_path / "a.mat")
    assert (read["inst_map"] == values).all()
    assert read["none"].shape == (0, 3)


@pytest.mark.parametrize("compressed", [False, True])
def test_structures_cells_and_text_come_back_as_scipy_reads_them(tmp_path, compressed):
    cell = np.array([["text", MAP], [np.float32(3), "ä"]], dtype=object)
    content = {"GTinst": {"Segmentation": MAP, "Categories": [[3], [7]]}, "cell": cell, "sparse": scipy.sparse.eye(3)}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    read, expected = read_matlab(tmp_path / "a.mat"), scipy.io.loadmat(tmp_path / "a.mat")
    assert sorted(read) == ["GTinst", "cell"]
    for name in ("Segmentation", "Categories"):
        assert (read["GTinst"][name][0, 0] == expected["GTinst"][name][0, 0]).all()
    assert read["cell"].shape == (2, 2)
    assert (str(read["cell"][0, 0]), str(read["cell"][1, 1])) == ("text", "ä")
    assert (read["cell"][0, 1] == MAP).all()


def part(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(sides: list[int], content: bytes, kind: int = 9) -> bytes:
    shape = part(5, np.array(sides, "<i4").tobytes())
    return part(14, part(6, struct.pack("<II", kind, 0)) + shape + part(1, b"inst_map") + content)


def nested(depth: int) -> bytes:
    content = matrix([1, 1], part(2, b"\1"))
    for _ in range(depth):
        content = matrix([1, 1], content, kind=1)
    return content


HEADER = b" " * 124 + b"\0\1IM"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEADER[:126] + b"??", id="no byte order"),
        pytest.param(HEADER[:124] + b"\0\2IM" + bytes(600), id="7.3"),
        pytest.param(HEADER + matrix([2**30, 2**30], part(2, b"\1")), id="more numbers than bytes"),
        pytest.param(HEADER + matrix([2**30, 2**30], part(2, b"\1"), kind=1), id="more cells than bytes"),
        pytest.param(HEADER + matrix([-1, -1], part(2, b"\1")), id="negative side"),
        pytest.param(HEADER + struct.pack("<II", 14, 2**31), id="a part beyond the file"),
        pytest.param(HEADER + nested(1000), id="deep"),
        pytest.param(HEADER + part(15, b"no zlib"), id="not compressed"),
    ],
)
def test_what_is_damaged_or_of_another_version_is_named(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mat"):
        read_matlab(tmp_path / "a.mat")


def test_a_part_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "MOST_BYTES", 1 << 20)
    (tmp_path / "a.mat").write_bytes(HEADER + part(15, zlib.compress(bytes(2 << 20))))
    with pytest.raises(DataError, match=r"a\.mat.* 1 MB"):
        read_matlab(tmp_path / "a.mat")


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_never_gives_another_error(tmp_path, seed):
    scipy.io.savemat(tmp_path / "a.mat", {"GTinst": {"Segmentation": MAP, "Categories": [[3], [7]]}, "text": "abc"})
    whole = (tmp_path / "a.mat").read_bytes()
    rng = random.Random(seed)
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(124, len(whole))] = rng.choice((0, 1, 255, rng.randrange(256)))
        (tmp_path / "a.mat").write_bytes(content[: rng.choice((len(whole), rng.randrange(len(whole))))])
        try:
            read_matlab(tmp_path / "a.mat")
        except DataError as error:
            assert "a.mat" in str(error)  # noqa: PT017
