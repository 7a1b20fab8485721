"""A small model of random weights, and small batches with and without objects."""

import numpy as np
import torch

from maskrcnn.config import ModelSettings
from maskrcnn.model.build import build_model
from maskrcnn.model.mask_rcnn import MaskRCNN
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops

CLASSES = 2
SIZE = (64, 96)


def small_settings(norm: str = "group", **parts: object) -> ModelSettings:
    settings = {
        "backbone": {"name": "resnet18", "norm": norm, "frozen_stages": 0},
        "neck": {"channels": 16},
        "anchors": {"sizes": (8, 16, 32, 48, 64)},
        "rpn": {
            "batch_size_per_image": 64,
            "pre_nms_top_n": 50,
            "post_nms_top_n": 30,
            "pre_nms_top_n_training": 50,
            "post_nms_top_n_training": 30,
        },
        "box_head": {"batch_size_per_image": 32, "channels": 16, "score_threshold": 0.01, "detections_per_image": 10},
        "mask_head": {"channels": 8, "convolutions": 1},
    }
    return ModelSettings.model_validate(settings | parts)


def small_model(settings: ModelSettings | None = None, seed: int = 0) -> MaskRCNN:
    torch.manual_seed(seed)
    return build_model(settings or small_settings(), CLASSES)


def fill_norms(model: torch.nn.Module) -> None:
    """Statistics and scales of batch norms that are unlike those of a new one."""
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif ".norm." in name and tensor.is_floating_point():
            tensor.normal_(0.7 if name.endswith("weight") else 0.0, 0.1)


def objects(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Instances:
    """Full rectangles of alternating classes."""
    crops = [Crop(x1, y1, np.ones((y2 - y1, x2 - x1), dtype=bool)) for x1, y1, x2, y2 in boxes]
    return Instances(
        size=size,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.arange(len(boxes)) % CLASSES,
        masks=MaskCrops.of(crops, size),
    )


def small_batch(*targets: Instances, dtype: torch.dtype = torch.float32, channels: int = 3) -> Batch:
    """A batch with these targets, or of two images without any."""
    count = len(targets) or 2
    images = torch.randn(count, channels, *SIZE, dtype=dtype, generator=torch.Generator().manual_seed(1))
    return Batch(
        images=images.to(memory_format=torch.channels_last),
        sizes=[SIZE] * count,
        image_sizes=[SIZE] * count,
        targets=list(targets) or None,
    )
