"""Checkpoints that are damaged, that name code, or that ask for much memory or time: read, and gone on with."""

import io
import json
import pickle
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from maskrcnn.data.dataset import Dataset
from maskrcnn.data.proposals import read_proposals
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes
from maskrcnn.training.checkpoint import Checkpoint, RunProgress, load_checkpoint, save_checkpoint
from maskrcnn.weights.own import save_weights
from maskrcnn.weights.reading import read_weights
from tests.builders.checkpoints import mmdetection_state
from tests.campaign.mutate import damage, mutate
from tests.training.tiny import CLASSES, model_settings, run_settings

CALLS = {
    "os.system": ("executed",), "os.mkdir": ("executed",), "builtins.eval": ("open('executed', 'w')",),
    "builtins.exec": ("open('executed', 'w')",), "builtins.open": ("executed", "w"), "builtins.getattr": ({}, "update"),
    "subprocess.Popen": (["true"],), "importlib.import_module": ("antigravity",), "runpy.run_path": ("executed",),
    "torch.load": ("executed",), "torch.hub.load": ("a", "b"), "torch.serialization.load": ("executed",),
    "numpy.fromfile": ("/etc/passwd",), "numpy.load": ("/etc/passwd",), "io.open": ("/etc/passwd",),
    "pickle.loads": (b"N.",),
    "shutil.rmtree": ("executed",), "pathlib.Path.touch": ("executed",), "codecs.decode": (b"x", "zip"),
    "operator.attrgetter": ("a",), "functools.partial": (print,), "ctypes.CDLL": ("libc.so.6",), "socket.socket": (),
    "torch.Size": ([2**40],), "torch.storage._load_from_bytes": (b"N.",), "collections.OrderedDict": ([],),
}  # fmt: skip
"""Functions a file may name, and with what."""


def _call(name: str, values: tuple, form: int) -> bytes:
    """A pickle that calls a function, in one of the ways a pickle has."""
    module, _, leaf = name.rpartition(".")
    given = pickle.dumps(tuple(map(str, values)), 2)[2:-1]
    named = f"c{module}\n{leaf}\n".encode()
    text = lambda word: b"\x8c" + bytes([len(word)]) + word.encode()  # noqa: E731
    ways = (
        named + given + b"R",
        b"(" + given + f"i{module}\n{leaf}\n".encode(),
        text(module) + text(leaf) + b"\x93" + given + b"R",
        named + given + b"\x81",
        b"(" + named + given + b"o",
        named + b"(tR" + given + b"b",
    )
    return ways[form % len(ways)]


def _bombs() -> list[bytes]:
    """Short programs that make much, or that take long."""
    nested = b"K\1" + b"\x85q\0h\0\x86q\1" + b"".join(b"h\1h\1\x86q\1" for _ in range(40))
    doubled = b"]q\0" + b"".join(b"(h\0h\0lq\0" for _ in range(40))
    copies = b"X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\0(" + b"h\0X\6\0\0\0latin1\x86q\1" * 3000 + b"l"
    return [
        b"}" + nested + b"K\1s", b"(" + nested + b"\x91", nested, doubled, copies, b"(" * 100_000,
        b"]" * 100_000 + b"a" * 99_999,
        b"\x95" + b"\xff" * 8, b"\x8d" + b"\xff" * 7 + b"\x7f", b"\x8b\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f",
        b"0" * 50, b"I" + b"9" * 5000,
        b"cnumpy\nndarray\nK\0\x85(J\0\0\0\x7ftR", b"cbuiltins\nbytearray\nJ\0\0\0\x7f\x85R",
        b"ccollections\nOrderedDict\n(" + b"]" * 1000 + b"tR",
    ]  # fmt: skip


def _zipped(program: bytes) -> bytes:
    """As `torch.save` writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/data/0", bytes(64))
    return out.getvalue()


def _legacy(program: bytes) -> bytes:
    begin = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    return begin + program + pickle.dumps([], 2)


def _attack(draw: random.Random, number: int) -> bytes:
    """A program on its own or beside tensors, in one of the files that hold programs."""
    if number % 3:
        name = draw.choice(list(CALLS))
        body = _call(name, CALLS[name], draw.randrange(6))
    else:
        body = draw.choice(_bombs())
    if draw.random() < 0.5:
        body = b"}(X\5\0\0\0model" + body + b"u"
    program = b"\x80\4" + body + b"."
    return draw.choice((bytes, _zipped, _legacy))(program)


class _Whole:
    """Files that can be read."""

    @staticmethod
    @cache
    def state() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        state = build_model(model_settings(), len(CLASSES)).state_dict()
        return {name: tensor.contiguous() for name, tensor in state.items()}

    @staticmethod
    @cache
    def files() -> dict[str, bytes]:
        state = _Whole.state()
        with tempfile.TemporaryDirectory() as folder:
            own, last = Path(folder, "own.safetensors"), Path(folder, "last.pt")
            save_weights(own, state, model_settings(), CLASSES)
            optimizer = {"state": {}, "param_groups": []}
            save_checkpoint(last, Checkpoint(RunProgress(), run_settings(), CLASSES, state, optimizer, None))
            whole = {"own.safetensors": own.read_bytes(), "last.pt": last.read_bytes()}
        for name, options in (("foreign.pth", {}), ("legacy.pth", {"_use_new_zipfile_serialization": False})):
            out = io.BytesIO()
            torch.save({"state_dict": mmdetection_state(), "meta": {}}, out, **options)
            whole[name] = out.getvalue()
        return whole


def _damaged(draw: random.Random) -> tuple[str, bytes]:
    name, content = draw.choice(list(_Whole.files().items()))
    if draw.random() < 0.5:  # anywhere, mostly within tensors; else in what describes them
        return name, damage(content, draw)
    if name.endswith(".safetensors"):
        (length,) = struct.unpack("<Q", content[:8])
        header = mutate(content[8 : 8 + length].strip(), "json", draw)
        return name, struct.pack("<Q", len(header)) + header + content[8 + length :]
    middle = len(content) - 20_000
    return name, content[:middle] + damage(content[middle:], draw)


def _described(draw: random.Random) -> tuple[str, bytes]:
    """Weights of ours whose own description is changed."""
    tree = {
        "version": 2,
        "settings": model_settings().model_dump(mode="json"),
        "classes": {"names": ["a"], "category_ids": [1]},
    }
    text = mutate(json.dumps(tree).encode(), "json", draw).decode("utf-8", "replace").replace("\0", "")
    return "own.safetensors", save(_Whole.state(), metadata={"maskrcnn": text})


def _parts(draw: random.Random) -> tuple[str, bytes]:
    """A checkpoint with a part of another kind, or a foreign one with tensors of other shapes."""
    odd: Any = draw.choice(
        [None, 5, "x", [], {}, torch.zeros(()), torch.zeros(0), torch.zeros(0, 2**40), torch.zeros((1,) * 9),
        "[" * 100_000,
         torch.ones(3, dtype=torch.bool), torch.full((3,), float("nan")), torch.zeros(1).expand(2**20),
         {"x": {"y": []}}]
    )  # fmt: skip
    out = io.BytesIO()
    if draw.random() < 0.5:
        content = torch.load(io.BytesIO(_Whole.files()["last.pt"]), weights_only=True)
        content[draw.choice(list(content))] = odd
        torch.save(content, out)
        return "last.pt", out.getvalue()
    state: dict[str, Any] = dict(mmdetection_state())
    state[draw.choice(list(state))] = odd
    torch.save({"state_dict": state}, out)
    return "foreign.pth", out.getvalue()


def prepare(root: Path, draw: random.Random, number: int) -> Callable[[], object]:
    """Half are attacks."""
    if number % 2:
        name, content = draw.choice(("foreign.pth", "last.pt", "proposals.pkl")), _attack(draw, number // 2)
    else:
        name, content = draw.choice((_damaged, _damaged, _described, _parts))(draw)
    path = root / name
    path.write_bytes(content)
    if name == "last.pt":
        return lambda: load_checkpoint(path)
    if name == "proposals.pkl":
        empty = Dataset("made", (), Classes(("a",), (1,)))
        return lambda: read_proposals(path, empty, most=10)
    return lambda: read_weights(path)
