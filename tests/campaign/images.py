"""Images of every kind with damaged bytes, or of a size that they do not have: read as image and as label map."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.data.formats import read_dataset
from maskrcnn.data.images import image_size, load_image, read_image
from tests.campaign.mutate import damage

KINDS: dict[str, dict] = {
    "png": {}, "jpg": {}, "webp": {}, "gif": {}, "bmp": {}, "jp2": {}, "ppm": {}, "tif": {},
    "deflate.tif": {"compression": "tiff_adobe_deflate"}, "lzw.tif": {"compression": "tiff_lzw"},
    "jpeg.tif": {"compression": "jpeg"}, "pages.tif": {"save_all": True, "append_images": [Image.new("RGB", (33, 25))]},
}  # fmt: skip
DEEP = ("deep.png", "deep.tif")


@cache
def _whole(kind: str) -> bytes:
    values = np.random.default_rng(0).integers(0, 255, (25, 33, 3), dtype=np.uint8)
    image = Image.fromarray(values[..., 0].astype(np.uint16) * 256) if kind in DEEP else Image.fromarray(values)
    form = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000"}.get(kind.split(".")[-1], kind.split(".")[-1])
    out = io.BytesIO()
    image.save(out, form, **KINDS.get(kind, {}))
    return out.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@cache
def _bomb(kind: str, width: int, height: int) -> bytes:
    """A small file that says it is large; a PNG really is."""
    if kind == "ppm":
        return b"P6 %d %d 255\n" % (width, height)
    if kind == "tif":
        tags = [
            (256, width),
            (257, height),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, height),
            (279, 100),
        ]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        return b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + entries + bytes(4)
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


SIDES = ((30_000, 30_000), (13_000, 13_000), (100_000_000, 1), (1, 100_000_000))


def prepare(root: Path, draw: random.Random, number: int) -> Callable[[], object]:
    """Every fortieth is a bomb."""
    if number % 40 == 39:
        kind, sides = draw.choice(("ppm", "tif", "png")), draw.choice(SIDES)
        content = _bomb(kind, *((13_000, 13_000) if kind == "png" else sides))
    else:
        kind = (*KINDS, *DEEP)[number % (len(KINDS) + len(DEEP))]
        content = damage(_whole(kind), draw)
    path = root / "images" / f"a.{kind}"
    map_ = root / "masks" / f"a.{kind}"
    for file in (path, map_):
        file.parent.mkdir()
        file.write_bytes(content)
    uses: list[Callable[[], object]] = [
        lambda: read_image(path),
        lambda: load_image(path),
        lambda: image_size(path),
        lambda: read_dataset(root, form="label-maps"),
    ]
    return uses[number % len(uses)]
