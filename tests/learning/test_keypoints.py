"""A keypoint head that is right learns where the keypoints of a few objects are, also in flipped images."""

import json

import pytest
import torch

from maskrcnn.config import RunSettings
from maskrcnn.data.loading import evaluation_batches, training_batches
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.collect import collect_results
from maskrcnn.model.build import build_model
from tests.builders.scoring import coco_scores

SIDE, STEPS = 96, 150
SETTINGS = RunSettings.model_validate(
    {
        "input": {"min_size": SIDE, "max_size": SIDE},
        "backbone": {"name": "resnet18", "norm": "group", "frozen_stages": 0},
        "neck": {"channels": 64},
        "anchors": {"sizes": (16, 24, 32, 48, 64)},
        "rpn": {
            "pre_nms_top_n_training": 200,
            "post_nms_top_n_training": 100,
            "pre_nms_top_n": 200,
            "post_nms_top_n": 100,
        },
        "roi": {"half_pixel": True},
        "box_head": {"batch_size_per_image": 64, "channels": 128},
        "mask_head": None,
        "keypoint_head": {"channels": 64, "convolutions": 2},
        "data": {"batch_size": 4},
        "augment": {"horizontal_flip": 0.5, "scale": (1, 1), "brightness": 0, "contrast": 0, "saturation": 0},
    }
)


def add_keypoints(path) -> None:
    """Two keypoints inside every object, at a fixed place in its box."""
    contents = json.loads(path.read_text())
    for category in contents["categories"]:
        category |= {"keypoints": ["left", "right"]}
    for found in contents["annotations"]:
        x, y, width, height = found["bbox"]
        found["keypoints"] = [x + 0.75 * width, y + 0.5 * height, 2, x + 0.25 * width, y + 0.25 * height, 2]
    path.write_text(json.dumps(contents))


@pytest.mark.slow
def test_keypoints_of_four_images_are_learned_by_heart(tmp_path):
    write_shapes(tmp_path, train=4, val=0, size=SIDE, seed=0)
    add_keypoints(tmp_path / "train.json")
    data = read_coco(tmp_path / "train.json", tmp_path / "images")
    torch.manual_seed(0)
    model = build_model(SETTINGS.model, len(data.classes), keypoints=data.classes.keypoint_count)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=STEPS, pct_start=0.1)
    images = training_batches(data, SETTINGS, workers=0)
    for _, batch in zip(range(STEPS), images):
        sum(model(batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step(), optimizer.zero_grad(), schedule.step()
    batches = evaluation_batches(data.records, SETTINGS.model.input, workers=0)
    truth = Annotations.read(tmp_path / "train.json")
    results = collect_results(model.predict, batches, data.classes, truth)
    scores = coco_scores(truth, results, iou_types=["keypoints"])
    assert scores["keypoints"].numbers["AP"] > 0.9  # measured: 1.0
