"""Presets of other libraries' models and what the readers find in their checkpoints are the same settings."""

import json

import pytest
import torch

from maskrcnn.config.presets import read_preset
from maskrcnn.weights.reading import understand
from tests.agreement.fixtures import FOLDER

PRESETS = {
    **{
        f"detectron2/{name}_1x": f"detectron2/{name}"
        for name in (
            "cascade_mask_rcnn_R_50_FPN",
            "faster_rcnn_R_50_FPN",
            "keypoint_rcnn_R_50_FPN",
            "mask_rcnn_R_50_C4",
            "mask_rcnn_R_50_DC5",
            "mask_rcnn_R_50_FPN",
            "panoptic_fpn_R_50",
        )
    },
    "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ": "detectron2/mask_rcnn_R_50_FPN_LSJ",
    "detectron2/mask_rcnn_R_50_FPN_3x_gn": "detectron2/mask_rcnn_R_50_FPN_gn",
    "detectron2/mask_rcnn_X_101_32x8d_FPN_3x": "detectron2/mask_rcnn_X_101_32x8d_FPN",
    "mmdet/cascade-mask-rcnn_r50_fpn_1x_coco": "mmdetection/cascade_mask_rcnn_r50_fpn",
    "mmdet/faster-rcnn_r50_fpn_1x_coco": "mmdetection/faster_rcnn_r50_fpn",
    "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco": "mmdetection/mask_rcnn_r50_caffe_fpn",
    "mmdet/mask-rcnn_r50_fpn_1x_coco": "mmdetection/mask_rcnn_r50_fpn",
    "mmdet/mask-rcnn_x101-32x4d_fpn_1x_coco": "mmdetection/mask_rcnn_x101_32x4d_fpn",
    "mmdet/mmocr_mask-rcnn_resnet50_fpn": "mmocr/mask_rcnn_icdar2015",
    "mmdet/panoptic-fpn_r50_fpn_1x_coco": "mmdetection/panoptic_fpn_r50_fpn",
    **{
        f"torchvision/{name}": f"torchvision/{name}"
        for name in (
            "fasterrcnn_mobilenet_v3_large_fpn",
            "fasterrcnn_resnet50_fpn",
            "fasterrcnn_resnet50_fpn_v2",
            "keypointrcnn_resnet50_fpn",
            "maskrcnn_resnet50_fpn",
            "maskrcnn_resnet50_fpn_v2",
        )
    },
}
NOT_IN_TENSORS = {
    "input.min_size": "the size of the images (MMOCR)",
    "input.max_size": "the size of the images (MMOCR)",
    "backbone.frozen_stages": "what was trained",
}


def flat(tree, prefix=""):
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in parts:
        yield from flat(value, f"{prefix}.{key}")
    if not isinstance(tree, dict | list):
        yield prefix.removeprefix("."), "batch" if tree == "sync_batch" else tree


@pytest.mark.parametrize("fixture", PRESETS)
def test_a_preset_is_what_the_reader_finds(fixture):
    path = FOLDER / fixture / "tensors.json"
    if not path.is_file():
        pytest.skip(f"no list of tensors at {path}; set MASKRCNN_AGREEMENT to the folder that holds them")
    # Zeros stand for the norms without statistics by which Caffe's style is known. Nothing is stored.
    number = torch.zeros(()) if "caffe" in fixture else torch.ones(())
    state = {name: number.expand(shape) for name, shape, _ in json.loads(path.read_text())}
    found = dict(flat(understand(state, fixture).settings.model_dump(mode="json")))
    expected = dict(flat(read_preset(PRESETS[fixture]).model_dump(mode="json")))
    assert found.keys() == expected.keys()
    for key in expected.keys() - NOT_IN_TENSORS.keys():
        value = expected[key]
        assert found[key] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), key
