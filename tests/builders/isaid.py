"""iSAID's patches, small ones."""

import json
from pathlib import Path

from PIL import Image

POLYGON = [[10, 10, 30, 10, 30, 30, 10, 30]]

PATCHES = ["P0003.png", "P0003_0_800_600_1400.png", "P0004_0_800_600_1400.png"]


def lay_out(folder: Path, split: str, name: str | None) -> None:
    """Two objects; classes are listed as they appear, ids count from 0, as the devkit writes them."""
    (folder / split / "images").mkdir(parents=True)
    for patch in PATCHES:
        Image.new("RGB", (80, 80)).save(folder / split / "images" / patch)
    Image.new("RGB", (80, 80)).save(folder / split / "images" / "P0003_instance_id_RGB.png")
    if name is None:
        return
    images = [{"id": n, "file_name": patch, "width": 80, "height": 80} for n, patch in enumerate(PATCHES)]
    categories = [{"id": 9, "name": "Small_Vehicle"}, {"id": 1, "name": "ship"}]
    annotations = [
        {"id": n, "image_id": n, "category_id": category, "category_name": "", "iscrowd": 0, "area": 400}
        | {"bbox": [10, 10, 20, 20], "segmentation": POLYGON}
        for n, category in enumerate((9, 1))
    ]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (folder / split / name).write_text(json.dumps(content))
