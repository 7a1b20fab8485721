"""Every benchmark's files as a reader has them after unpacking, with two small pictures each, and weights for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from maskrcnn.config import ModelSettings
from maskrcnn.data.readers.bdd100k import SIZE
from maskrcnn.evaluate.coco_o import DOMAINS
from maskrcnn.model.build import build_model
from maskrcnn.predict.benchmarks.table import open_benchmark
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.skeletons import COCO_PERSON, CROWDPOSE_PERSON
from maskrcnn.weights.files import save_weights
from tests.conftest import TINY
from tests.data.readers import test_bdd100k, test_mhp, test_ochuman, voc_files
from tests.data.readers.city import write_city
from tests.predict.benchmarks import (
    test_cells,
    test_cityscapes,
    test_coco,
    test_coco_o,
    test_coco_panoptic,
    test_crowdpose,
    test_grit,
    test_grit_samples,
    test_isaid,
    test_lvis,
    test_nuclei,
    test_text,
    test_voc,
)
from tests.predict.benchmarks.test_mhp import found as found_with_parts

THINGS = ("person", "cat", "dog", "pedestrian", "cup", "car", "ship")
"""One at least of each benchmark with several classes."""
STUFF = ("road", "sky-other-merged")
SMALL = {**TINY, "input": {"shorter": 64, "longer": 128}}
KEYPOINTS = {"keypoint_head": {"channels": 8, "convolutions": 1}}
SEMANTIC = {"semantic_head": {"classes": len(STUFF) + 1, "channels": 32}, "panoptic": {"stuff_area": 0}}
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
        ("keypoints", KEYPOINTS, replace(person, skeleton=COCO_PERSON)),
        ("crowdpose", KEYPOINTS, replace(person, skeleton=CROWDPOSE_PERSON)),
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
    test_coco.lay_out(root / "COCO")
    test_coco_panoptic.write(root / "COCO")
    for name in ("lvis_v1_val", "lvis_v1_image_info_test_dev", "lvis_v0.5_val"):
        test_lvis.lay_out(root / "LVIS", f"{name}.json")
    test_isaid.lay_out(root / "iSAID_patches", "val", "instancesonly_filtered_val.json")
    test_isaid.lay_out(root / "iSAID_patches", "test", None)
    test_coco_o.lay_out(root / "ood_coco", *DOMAINS, "coco")


def _write_voc(root: Path) -> None:
    test_voc.lay_out(root / "VOCdevkit" / "VOC2007", "test")
    test_voc.lay_out(root / "VOCdevkit" / "VOC2012", "val")
    voc_files.write_set(root / "VOCdevkit" / "VOC2012", "Main", "test", ["000001", "000002"])
    voc_files.write_sbd(root / "benchmark_RELEASE" / "dataset", "val", {"a": [(12, (0, 0, 10, 5))], "b": []})


def _write_streets(root: Path) -> None:
    maps = {
        test_cityscapes.FIRST: test_cityscapes.street(26001, 24003, 26),
        test_cityscapes.SECOND: test_cityscapes.street(29000, 33000, 4),
    }
    for split in ("val", "test"):
        write_city(root / "cityscapes", maps, split, pictures=True)
    test_bdd100k.lay_out(root / "bdd100k", "rles")
    pictures = root / "bdd100k" / "images" / "10k" / "test"
    pictures.mkdir()
    for name in ("c3", "d4"):
        Image.new("RGB", SIZE[::-1]).save(pictures / f"{name}.jpg")


def _write_people(root: Path) -> None:
    for name in ("CrowdPose", "OCHuman", "GRIT"):
        (root / name).mkdir()
    test_crowdpose.lay_out(root / "CrowdPose")
    test_ochuman.lay_out(root / "OCHuman", [test_ochuman.person()], [test_ochuman.person(max_iou=0.9)])
    test_mhp.lay_out(root / "LV-MHP-v2", {"1": [test_mhp.ANNA, test_mhp.BERT], "2": [test_mhp.BERT]})
    submit = open_benchmark("mhp", root / "LV-MHP-v2").submit
    assert submit is not None
    submit([found_with_parts(1, test_mhp.ANNA)], root / "mhp_results.zip")
    asked = [test_grit_samples.sample("l1", "Cat", "coco/1.jpg"), test_grit_samples.sample("l2", "dog", "nyu/2.jpg")]
    test_grit_samples.lay_out(root / "GRIT", "ablation", localization=asked, segmentation=asked)
    test_grit.with_truth(root / "GRIT")


def _write_cells(root: Path) -> None:
    test_cells.kumar(root / "kumar")
    test_cells.kumar(root / "kumar", ["bladder_1"], "test_diff")
    test_cells.cell17(root / "cell17" / "test")
    test_nuclei.bowl(root / "dsb2018", 3, 1)
    rows = ["ImageId,EncodedPixels,Height,Width,Usage", "t,1 3,12,16,Ignored"]
    (root / "dsb2018" / "stage1_solution.csv").write_text("\n".join(rows))
    test_nuclei.draw(root / "dsb2018" / "stage1_test" / "t" / "images" / "t.png", np.zeros((12, 16, 3), np.uint8))


def _write_text(root: Path) -> None:
    for name in ("icdar2015", "ctw1500"):
        (root / name).mkdir()
    test_text.icdar(root / "icdar2015")
    test_text.ctw1500(root / "ctw1500")
