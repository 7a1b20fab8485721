"""Datasets of every format with one file changed: read, cut out, written as COCO, and scored."""

import json
import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
from PIL import Image

from maskrcnn.data.conversion import write_coco
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.proposals import read_proposals
from maskrcnn.predict.evaluation import score
from tests.builders import (
    bdd100k,
    cityscapes,
    coco,
    coco_panoptic,
    crowdpose,
    lvis,
    mhp,
    nuclei,
    ochuman,
    text,
    voc,
)
from tests.builders.exports import drawn_set, write_cvat, write_labelme, write_via, write_yolo
from tests.builders.scoring import encode
from tests.campaign.mutate import mutate

ANNOTATIONS = {".json", ".jsonl", ".xml", ".yaml", ".csv", ".txt", ".npy", ".mat"}


class Seed(NamedTuple):
    """A valid dataset.

    Args:
        write: Writes it into an empty folder.
        split: The one that is read.
        path: What is read, within the folder.
        maps: Folder of images that are annotations.
    """

    write: Callable[[Path], object]
    split: str = "train"
    path: str = "."
    maps: str | None = None


def _drawn(write: Callable, *, keypoints: bool = False, **options: object) -> Seed:
    def write_all(root: Path) -> None:
        with tempfile.TemporaryDirectory() as images:
            found = drawn_set(Path(images), keypoints=keypoints)
            for one in found["annotations"] if options.get("kind") in ("boxes", "keypoints") else ():
                one["bbox"] = [3, 4, 12, 11]
            write(found, Path(images), root, **options)

    return Seed(write_all)


def _coco(root: Path) -> None:
    found = drawn_set(root / "images", keypoints=True)
    found["annotations"][0]["segmentation"] = {"size": [40, 60], "counts": [100, 20, 20, 20, 2240]}
    found["annotations"][1] |= {"segmentation": encode(np.eye(40, 60, dtype=np.uint8)), "iscrowd": 1}
    (root / "train.json").write_text(json.dumps(found))


def _proposals(root: Path) -> None:
    _coco(root)
    lines = [{"image_id": n, "boxes": [[3, 4, 20, 30], [5, 5, 9.5, 39]], "scores": [0.9, 0.8]} for n in (1, 2, 3)]
    (root / "proposals.jsonl").write_text("\n".join(map(json.dumps, lines)))


def _results(root: Path) -> None:
    _coco(root)
    found = [
        {"image_id": n, "category_id": 1, "bbox": [3, 4, 17, 26], "score": 0.5, "keypoints": [3, 4, 1] * 3}
        | {"segmentation": {"size": [40, 60], "counts": [100, 20, 20, 20, 2240]}}
        for n in (2, 3)
    ]
    (root / "results.json").write_text(json.dumps(found))


def _label_maps(ending: str) -> Seed:
    def write(root: Path) -> None:
        values = np.zeros((40, 60), np.uint16)
        values[3:12, 5:20], values[20:30, 30:50] = 1, 300
        for folder in ("images", "masks"):
            (root / folder).mkdir()
        for name in ("a", "b"):
            Image.new("RGB", (60, 40)).save(root / "images" / f"{name}.png")
            path = root / "masks" / f"{name}.{ending}"
            match ending:
                case "npy":
                    np.save(path, values)
                case "mat":
                    scipy.io.savemat(path, {"inst_map": values})
                case _:
                    Image.fromarray(values).save(path)

    return Seed(write, maps="masks")


CITY = {cityscapes.FIRST: cityscapes.street(26001, 24003, 26)}
SEEDS = {
    "coco": Seed(_coco),
    "coco folders": Seed(coco.lay_out, "val"),
    "lvis": Seed(lambda root: lvis.lay_out(root, "lvis_v1_val.json"), "val"),
    "panoptic": Seed(coco_panoptic.write, "val", maps="annotations"),
    "crowdpose": Seed(crowdpose.lay_out, "test"),
    "voc": Seed(lambda root: voc.lay_out(root, "val"), "val", maps="SegmentationObject"),
    "sbd": Seed(lambda root: voc.write_sbd(root, "val", {"a": [(12, (0, 0, 10, 5)), (3, (12, 3, 8, 9))]}), "val"),
    "yolo": _drawn(write_yolo),
    "yolo boxes": _drawn(write_yolo, kind="boxes"),
    "yolo keypoints": _drawn(write_yolo, kind="keypoints", keypoints=True),
    "labelme": _drawn(write_labelme),
    "cvat": _drawn(write_cvat, keypoints=True),
    "via": _drawn(write_via),
    "via json": _drawn(write_via, form="json"),
    "via csv": _drawn(write_via, form="csv"),
    "bdd100k": Seed(lambda root: bdd100k.lay_out(root, "rles"), "val"),
    "bdd100k polygons": Seed(lambda root: bdd100k.lay_out(root, "polygons"), "val"),
    "bdd100k bitmasks": Seed(lambda root: bdd100k.lay_out(root, "bitmasks"), "val", maps="labels"),
    "cityscapes": Seed(lambda root: cityscapes.write_city(root, CITY), "val", maps="gtFine"),
    "mhp": Seed(lambda root: mhp.lay_out(root, {"1": [mhp.ANNA, mhp.BERT]}), "val", maps="val/parsing_annos"),
    "ochuman": Seed(lambda root: ochuman.lay_out(root, [ochuman.person()], [ochuman.person(max_iou=0.9)]), "val"),
    "icdar2015": Seed(text.icdar, "test"),
    "ctw1500": Seed(text.ctw1500, "test"),
    "mask folders": Seed(lambda root: nuclei.bowl(root, 2, 1), path="stage1_train", maps="stage1_train/id0/masks"),
    **{f"label maps {ending}": _label_maps(ending) for ending in ("png", "tif", "npy", "mat")},
    "proposals": Seed(_proposals),
    "results": Seed(_results),
}


@cache
def _files(name: str) -> tuple[dict[str, bytes], list[str]]:
    """A seed's files, and those that are changed."""
    seed = SEEDS[name]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        seed.write(root)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    maps = f"{seed.maps}/"
    return files, [path for path in files if Path(path).suffix in ANNOTATIONS or path.startswith(maps)]


def prepare(root: Path, draw: random.Random, number: int) -> Callable[[], object]:
    """The seeds take turns."""
    name = list(SEEDS)[number % len(SEEDS)]
    files, targets = _files(name)
    changed = draw.choice(targets)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        new = mutate(content, path.rpartition(".")[2], draw) if path == changed else content
        (root / path).write_bytes(new)
    return lambda: use(SEEDS[name], root, number // len(SEEDS))


def use(seed: Seed, root: Path, number: int = 0) -> None:
    """What a dataset is read for."""
    data = read_dataset(root / seed.path, seed.split, skip_invalid=number % 2 == 1)
    for record in data.records:
        for i in range(len(record.instances)):
            record.instances.masks.crop(i)
    if (root / "proposals.jsonl").exists():
        read_proposals(root / "proposals.jsonl", data, most=10)
    if (root / "results.json").exists():
        score(root / "results.json", data)
    if number % 3 == 0:
        write_coco(data, root / "out" / "train.json", root / "out" / "images", images_as="copy")
