"""LVIS with two small images."""

import json
from pathlib import Path

from PIL import Image

SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]

OBJECTS = [(5, 1, [10, 10, 20, 20]), (9, 1, [10, 10, 20, 20]), (9, 4, [10, 10, 20, 20])]


def lay_out(folder: Path, name: str) -> None:
    images = []
    for image_id, place in ((5, "val2017"), (9, "train2017")):
        (folder / place).mkdir(exist_ok=True)
        Image.new("RGB", (40, 40)).save(folder / place / f"{image_id:012d}.jpg")
        address = f"http://images.cocodataset.org/{place}/{image_id:012d}.jpg"
        known = {"neg_category_ids": [4] if image_id == 5 else [], "not_exhaustive_category_ids": []}
        images.append({"id": image_id, "width": 40, "height": 40, "coco_url": address, **known})
    annotations = [
        {"id": n, "image_id": i, "category_id": c, "bbox": box, "area": 400, "segmentation": SQUARE}
        for n, (i, c, box) in enumerate(OBJECTS, start=1)
    ]
    categories = [{"id": 1, "name": "cup", "frequency": "r"}, {"id": 4, "name": "fig", "frequency": "f"}]
    content = {"images": images, "categories": categories}
    if "test" not in name:
        content["annotations"] = annotations
    (folder / name).write_text(json.dumps(content))
