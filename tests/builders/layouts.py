"""Every benchmark's files as a reader has them after unpacking, with two small images each, and weights for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from maskrcnn.benchmarks.coco_o import DOMAINS
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.config import ModelSettings
from maskrcnn.data.readers import bdd100k as bdd100k_reader
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import COCO_PERSON, CROWDPOSE_PERSON, Classes
from maskrcnn.weights.own import save_weights
from tests.builders import (
    bdd100k,
    cells,
    cityscapes,
    coco,
    coco_o,
    coco_panoptic,
    crowdpose,
    grit,
    isaid,
    lvis,
    mhp,
    nuclei,
    ochuman,
    text,
    voc,
)
from tests.conftest import TINY

THINGS = ("person", "cat", "dog", "pedestrian", "cup", "car", "ship")
"""One at least of each benchmark with several classes."""
STUFF = ("road", "sky-other-merged")
SMALL = {**TINY, "input": {"min_size": 64, "max_size": 128}}
KEYPOINTS = {"keypoint_head": {"channels": 8, "convolutions": 1}}
SEMANTIC = {"semantic_head": {"classes": len(STUFF) + 1, "channels": 32}, "panoptic": {"stuff_area_limit": 0}}
SURE = 100
"""Factor that makes random weights sure of a class, as some benchmarks leave out what is unsure."""
NEVER = -1000.0
"""Logit of the background."""


def write_layouts(root: Path) -> None:
    """The folders that the pages on benchmarks name, and the weights."""
    _write_weights(root)
    _write_coco(root)
    _write_voc(root)
    _write_streets(root)
    _write_people(root)
    _write_cells(root)
    _write_text(root)


def _write_weights(root: Path) -> None:
    person = Classes(("person",), (1,))
    things = Classes(THINGS, tuple(range(1, len(THINGS) + 1)))
    for name, more, classes in (
        ("model", {}, things),
        ("keypoints", KEYPOINTS, replace(person, keypoint_schema=COCO_PERSON)),
        ("crowdpose", KEYPOINTS, replace(person, keypoint_schema=CROWDPOSE_PERSON)),
        ("panoptic", SEMANTIC, replace(things, stuff=STUFF, stuff_ids=(101, 102))),
        ("cells", {}, Classes(("nucleus",), (1,))),
        ("text", {}, Classes(("text",), (1,))),
    ):
        torch.manual_seed(1)
        settings = ModelSettings.model_validate({**SMALL, **more})
        state = build_model(settings, len(classes), keypoints=classes.keypoint_count).state_dict()
        state["box_head.0.logits.weight"] *= SURE
        state["box_head.0.logits.bias"][-1] = NEVER
        save_weights(root / f"{name}.safetensors", state, settings, classes)


def _write_coco(root: Path) -> None:
    for name in ("COCO", "LVIS", "iSAID_patches", "ood_coco"):
        (root / name).mkdir()
    coco.lay_out(root / "COCO")
    coco_panoptic.write(root / "COCO")
    for name in ("lvis_v1_val", "lvis_v1_image_info_test_dev", "lvis_v0.5_val"):
        lvis.lay_out(root / "LVIS", f"{name}.json")
    isaid.lay_out(root / "iSAID_patches", "val", "instancesonly_filtered_val.json")
    isaid.lay_out(root / "iSAID_patches", "test", None)
    coco_o.lay_out(root / "ood_coco", *DOMAINS, "coco")


def _write_voc(root: Path) -> None:
    voc.lay_out(root / "VOCdevkit" / "VOC2007", "test")
    voc.lay_out(root / "VOCdevkit" / "VOC2012", "val")
    voc.write_set(root / "VOCdevkit" / "VOC2012", "Main", "test", ["000001", "000002"])
    voc.write_sbd(root / "benchmark_RELEASE" / "dataset", "val", {"a": [(12, (0, 0, 10, 5))], "b": []})


def _write_streets(root: Path) -> None:
    maps = {
        cityscapes.FIRST: cityscapes.street(26001, 24003, 26),
        cityscapes.SECOND: cityscapes.street(29000, 33000, 4),
    }
    for split in ("val", "test"):
        cityscapes.write_city(root / "cityscapes", maps, split, images=True)
    bdd100k.lay_out(root / "bdd100k", "rles")
    images = root / "bdd100k" / "images" / "10k" / "test"
    images.mkdir()
    for name in ("c3", "d4"):
        Image.new("RGB", bdd100k_reader.SIZE[::-1]).save(images / f"{name}.jpg")


def _write_people(root: Path) -> None:
    for name in ("CrowdPose", "OCHuman", "GRIT"):
        (root / name).mkdir()
    crowdpose.lay_out(root / "CrowdPose")
    ochuman.lay_out(root / "OCHuman", [ochuman.person()], [ochuman.person(max_iou=0.9)])
    mhp.lay_out(root / "LV-MHP-v2", {"1": [mhp.ANNA, mhp.BERT], "2": [mhp.BERT]})
    open_benchmark("mhp", root / "LV-MHP-v2").submit([mhp.found(1, mhp.ANNA)], root / "mhp_results.zip")
    asked = [grit.sample("l1", "Cat", "coco/1.jpg"), grit.sample("l2", "dog", "nyu/2.jpg")]
    grit.lay_out(root / "GRIT", "ablation", localization=asked, segmentation=asked)
    grit.with_truth(root / "GRIT")


def _write_cells(root: Path) -> None:
    cells.kumar(root / "kumar")
    cells.kumar(root / "kumar", ["bladder_1"], "test_diff")
    cells.cell17(root / "cell17" / "test")
    nuclei.bowl(root / "dsb2018", 3, 1)
    rows = ["ImageId,EncodedPixels,Height,Width,Usage", "t,1 3,12,16,Ignored"]
    (root / "dsb2018" / "stage1_solution.csv").write_text("\n".join(rows))
    nuclei.draw(root / "dsb2018" / "stage1_test" / "t" / "images" / "t.png", np.zeros((12, 16, 3), np.uint8))


def _write_text(root: Path) -> None:
    for name in ("icdar2015", "ctw1500"):
        (root / name).mkdir()
    text.icdar(root / "icdar2015")
    text.ctw1500(root / "ctw1500")
