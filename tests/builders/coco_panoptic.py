"""COCO's panoptic files with one small image."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from maskrcnn.structures.panoptic import encode_ids

CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 17, "name": "cat", "isthing": 1},
    {"id": 187, "name": "sky-other-merged", "isthing": 0},
]

IDS = np.repeat(np.repeat(np.array([[187, 187, 0], [70001, 18, 19]]), 10, axis=0), 10, axis=1)

SEGMENTS = [
    {"id": 187, "category_id": 187, "area": 200, "bbox": [0, 0, 20, 10], "iscrowd": 0},
    {"id": 70001, "category_id": 1, "area": 100, "bbox": [0, 10, 10, 10], "iscrowd": 0},
    {"id": 18, "category_id": 17, "area": 100, "bbox": [10, 10, 10, 10], "iscrowd": 0},
    {"id": 19, "category_id": 17, "area": 100, "bbox": [20, 10, 10, 10], "iscrowd": 1},
]


def write(folder: Path, *, images: bool = True) -> Path:
    """COCO with one image whose pixels are annotated."""
    segments = folder / "annotations" / "panoptic_val2017"
    segments.mkdir(parents=True)
    Image.fromarray(encode_ids(torch.from_numpy(IDS))).save(segments / "000000000724.png")
    (folder / "annotations" / "panoptic_val2017.json").write_text(
        json.dumps(
            {
                "images": [{"id": 724, "file_name": "000000000724.jpg", "height": 20, "width": 30}],
                "annotations": [{"image_id": 724, "file_name": "000000000724.png", "segments_info": SEGMENTS}],
                "categories": CATEGORIES,
            }
        )
    )
    if images:
        (folder / "val2017").mkdir(exist_ok=True)
        Image.new("RGB", (30, 20)).save(folder / "val2017" / "000000000724.jpg")
    return folder
