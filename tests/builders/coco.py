"""COCO's files with two small images in each split."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.structures.classes import COCO_PERSON

POLYGON = [[10, 10, 50, 10, 50, 40, 10, 40]]

POINTS = [point for n in range(17) for point in (10 + 2 * n, 12 + n, 2)]

FOUND = {"image_id": 139, "category_id": 1, "bbox": [10, 10, 40, 30], "segmentation": POLYGON, "score": 0.9}


def lay_out(folder: Path) -> Path:
    """COCO's files with two images in each split."""
    (folder / "annotations").mkdir(parents=True)
    for folder_name, name in (("val2017", "{}"), ("val2014", "COCO_val2014_{}"), ("test2017", "{}")):
        (folder / folder_name).mkdir()
        for image_id in (139, 285):
            image = Image.fromarray(np.full((60, 80, 3), image_id % 256, dtype=np.uint8))
            image.save(folder / folder_name / f"{name.format(f'{image_id:012d}')}.jpg")
    objects = [{"id": n, "image_id": i, **place} for n, (i, place) in enumerate([(139, FOUND), (285, FOUND)], start=1)]
    for found, image_id in zip(objects, (139, 285), strict=True):
        found.update(image_id=image_id, area=1200, iscrowd=0, keypoints=POINTS, num_keypoints=17)
    categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    person = [{"id": 1, "name": "person", **COCO_PERSON.described()}]
    for year, name in (("val2017", "{}"), ("minival2014", "COCO_val2014_{}")):
        images = [
            {"id": n, "file_name": f"{name.format(f'{n:012d}')}.jpg", "height": 60, "width": 80} for n in (139, 285)
        ]
        plain = [{key: value for key, value in one.items() if "keypoints" not in key} for one in objects]
        for kind, classes, own in (("instances", categories, plain), ("person_keypoints", person, objects)):
            content = {"images": images, "categories": classes, "annotations": own}
            (folder / "annotations" / f"{kind}_{year}.json").write_text(json.dumps(content))
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "height": 60, "width": 80} for n in (139, 285)]
    for name in ("image_info_test-dev2017", "image_info_test2017"):
        (folder / "annotations" / f"{name}.json").write_text(json.dumps({"images": images, "categories": categories}))
    return folder
