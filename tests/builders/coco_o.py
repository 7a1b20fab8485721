"""COCO-O with a small image in each domain."""

import json
from pathlib import Path

from PIL import Image

BOXES = [[10, 10, 20, 20], [40, 10, 20, 20]]


def lay_out(folder: Path, *domains: str) -> None:
    """An image with two cats in each; the ids are the same everywhere."""
    for domain in domains:
        (folder / domain / "val2017").mkdir(parents=True)
        (folder / domain / "annotations").mkdir()
        Image.new("RGB", (80, 40)).save(folder / domain / "val2017" / "1.jpg")
        annotations = [
            {"id": n, "image_id": 7, "category_id": 17, "bbox": box, "area": 400, "iscrowd": 0}
            for n, box in enumerate(BOXES)
        ]
        images = [{"id": 7, "file_name": "1.jpg", "width": 80, "height": 40}]
        content = {"images": images, "annotations": annotations, "categories": [{"id": 17, "name": "cat"}]}
        (folder / domain / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
