"""BDD100K's folder with two small images."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.data.readers.bdd100k import CLASSES
from tests.builders.scoring import encode

SIZE = (40, 60)


def objects() -> list[dict]:
    """A car, a crowd of pedestrians and an ignored truck, as number, class, attributes and pixels."""
    found = []
    for number, (category, y, attributes) in enumerate(
        [("car", 0, {}), ("pedestrian", 12, {"crowd": True}), ("truck", 25, {"ignored": True, "occluded": True})],
        start=1,
    ):
        mask = np.zeros(SIZE, dtype=np.uint8)
        mask[y : y + 10, 5 : 15 + y] = 1
        found.append({"number": 250 + 4 * number, "category": category, "attributes": attributes, "mask": mask})
    return found


def lay_out(folder: Path, *kinds: str) -> Path:
    """BDD100K's folder with two images, one of them empty, and labels of some kinds."""
    (folder / "images" / "10k" / "val").mkdir(parents=True)
    for name in ("b1", "a2"):
        Image.new("RGB", SIZE[::-1]).save(folder / "images" / "10k" / "val" / f"{name}.jpg")
    inside = folder / "labels" / "ins_seg"
    labels = [
        {"id": str(one["number"]), "category": one["category"], "attributes": one["attributes"]} for one in objects()
    ]
    size = {"height": SIZE[0], "width": SIZE[1]}
    for kind in kinds:
        (inside / kind / "val").mkdir(parents=True)
        if kind == "rles":
            shapes = [{"rle": encode(one["mask"])} for one in objects()]
        elif kind == "polygons":
            shapes = [{"poly2d": [polygon(one["mask"])]} for one in objects()]
        else:
            write_bitmask(inside / kind / "val" / "b1.png", objects())
            write_bitmask(inside / kind / "val" / "a2.png", [])
            continue
        frames = [
            {"name": "b1.jpg", "size": size, "labels": [{**one, **s} for one, s in zip(labels, shapes, strict=True)]},
            {"name": "a2.jpg", "size": size, "labels": []},
        ]
        (inside / kind / "ins_seg_val.json").write_text(json.dumps(frames))
    return folder


def polygon(mask: np.ndarray) -> dict:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x1, x2, y1, y2 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    return {"vertices": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], "types": "LLLL", "closed": True}


def write_bitmask(path: Path, found: list[dict]) -> None:
    pixels = np.zeros((*SIZE, 4), dtype=np.uint8)
    for one in found:
        bits = one["attributes"].get("crowd", 0) << 1 | one["attributes"].get("ignored", 0)
        bits |= one["attributes"].get("occluded", 0) << 2
        color = [CLASSES.names.index(one["category"]) + 1, bits, one["number"] >> 8, one["number"] & 255]
        pixels[one["mask"] > 0] = color
    Image.fromarray(pixels).save(path)
