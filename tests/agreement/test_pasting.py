"""Masks of the same logits and boxes have the pixels that detectron2 and mmdetection recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskrcnn.structures.masks import full_bitmap
from maskrcnn.structures.soft_masks import SoftMasks

from .fixtures import FOLDER, unpack

MODELS = [
    "detectron2/cascade_mask_rcnn_R_50_FPN_1x",
    "detectron2/mask_rcnn_R_50_C4_1x",
    "detectron2/mask_rcnn_R_50_DC5_1x",
    "detectron2/mask_rcnn_R_50_FPN_100ep_LSJ",
    "detectron2/mask_rcnn_R_50_FPN_1x",
    "detectron2/mask_rcnn_R_50_FPN_3x_gn",
    "detectron2/mask_rcnn_X_101_32x8d_FPN_3x",
    "detectron2/panoptic_fpn_R_50_1x",
    "mmdet/cascade-mask-rcnn_r50_fpn_1x_coco",
    "mmdet/mask-rcnn_r50-caffe_fpn_1x_coco",
    "mmdet/mask-rcnn_r50_fpn_1x_coco",
    "mmdet/mask-rcnn_x101-32x4d_fpn_1x_coco",
    "mmdet/mmocr_mask-rcnn_resnet50_fpn",
    "mmdet/panoptic-fpn_r50_fpn_1x_coco",
]


def recorded_probabilities(expected: dict[str, np.ndarray]) -> torch.Tensor:
    """[3, m, m]: one head's, or the mean over the heads of a cascade."""
    keys = ["mask.logits"] if "mask.logits" in expected else [f"mask.logits.stage{stage}" for stage in range(3)]
    return torch.stack([torch.from_numpy(expected[key][:3]).sigmoid() for key in keys]).mean(dim=0)


@pytest.mark.parametrize("name", MODELS)
def test_pasted_masks_are_equal_in_every_pixel(name: str) -> None:
    file = FOLDER / name / "expected.npz"
    if not file.is_file():
        pytest.skip(f"no recorded outputs at {file}; set MASKRCNN_AGREEMENT to the folder that holds them")
    with np.load(file) as arrays:
        expected = dict(arrays)
    bitmaps = unpack(expected, "pasted")
    boxes = torch.from_numpy(expected["det.boxes"][:3])
    masks = SoftMasks(recorded_probabilities(expected), boxes, bitmaps.shape[1:], "sampled")
    assert bitmaps.any(axis=(1, 2)).all()
    for i, bitmap in enumerate(bitmaps):
        assert (full_bitmap(masks, i) == bitmap).all()
