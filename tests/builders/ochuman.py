"""OCHuman with small images."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.structures.keypoint_schema import COCO_PERSON

NAMES = ["head", *reversed(COCO_PERSON.names), "neck"]

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]

HOLE = [4, 4, 8, 4, 8, 8, 4, 8]


def person(**changes) -> dict:
    """Its keypoint i of the file lies at (i, 2 i), with visibility 0, 1, 2, 3 in turn."""
    points = [value for place in range(19) for value in (place, 2 * place, place % 4)]
    segms = {"outer": [SQUARE], "inner": [HOLE], "height": 40, "width": 50}
    return {"bbox": [2, 2, 12, 22], "keypoints": points, "segms": segms, "max_iou": 0.6, **changes}


def native(*groups: list[dict]) -> dict:
    images = [
        {"image_id": f"{n:06d}", "file_name": f"{n:06d}.jpg", "height": 40, "width": 50, "annotations": people}
        for n, people in enumerate(groups)
    ]
    return {"keypoint_names": NAMES, "keypoint_visible": {}, "images": images}


def lay_out(root: Path, *images: list[dict]) -> Path:
    """OCHuman as it is unpacked."""
    content = native(*images)
    (root / "images").mkdir()
    (root / "ochuman.json").write_text(json.dumps(content))
    for image in content["images"]:
        Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(root / "images" / image["file_name"])
    return root
