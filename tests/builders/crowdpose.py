"""CrowdPose with small images."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.structures.classes import CROWDPOSE_PERSON

POINTS = [(10 + 3 * place, 20 + place, 2) for place in range(14)]


def flat(points: list) -> list:
    return [value for point in points for value in point]


def crowdpose(*crowding: float) -> dict:
    """An image with one person for each crowd index, numbered from 7."""
    images = range(7, 7 + len(crowding))
    return {
        "images": [
            {"id": key, "width": 100, "height": 80, "file_name": f"{key}.jpg", "crowdIndex": index}
            for key, index in zip(images, crowding, strict=True)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(CROWDPOSE_PERSON.names), "skeleton": []}],
        "annotations": [
            {
                "id": key,
                "image_id": key,
                "category_id": 1,
                "iscrowd": 0,
                "num_keypoints": 14,
                "keypoints": flat(POINTS),
                "bbox": [10, 20, 40, 50],
            }
            for key in images
        ],
    }


def found(image_id: int, shift: float = 0, score: float = 0.9) -> dict:
    points = [(x + shift, y, 0.5) for x, y, _ in POINTS]
    return {"image_id": image_id, "category_id": 1, "keypoints": flat(points), "score": score}


def lay_out(root: Path, split: str = "test", **changes) -> Path:
    """CrowdPose as it is unpacked, with two images."""
    content = {**crowdpose(0.1, 0.9), **changes}
    for folder in ("images", "json"):
        (root / folder).mkdir(exist_ok=True)
    (root / "json" / f"crowdpose_{split}.json").write_text(json.dumps(content))
    for image in content["images"]:
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(root / "images" / image["file_name"])
    return root
