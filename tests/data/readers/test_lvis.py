import json
from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.lvis import is_lvis, read_lvis
from maskrcnn.errors import DataError

ADDRESS = "http://images.cocodataset.org/{}/{:012d}.jpg"


def lay_out(folder: Path, name: str = "lvis_v1_val.json", **image) -> Path:
    """One image of each of COCO's folders, and an object in the first."""
    images = []
    for image_id, place in ((5, "val2017"), (9, "train2017")):
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(folder / place / f"{image_id:012d}.jpg")
        known = {"neg_category_ids": [1203], "not_exhaustive_category_ids": []}
        images.append({"id": image_id, "width": 40, "height": 30, "coco_url": ADDRESS.format(place, image_id), **known})
    images[0] |= image
    found = {"id": 1, "image_id": 5, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100}
    found["segmentation"] = [[0, 0, 10, 0, 10, 10, 0, 10]]
    categories = [
        {"id": 1, "name": "aerosol_can", "frequency": "c"},
        {"id": 1203, "name": "zucchini", "frequency": "f"},
    ]
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": [found], "categories": categories}))
    return file


def test_images_are_found_by_their_addresses(tmp_path):
    data = read_dataset(lay_out(tmp_path))
    assert [record.path for record in data.records] == [
        tmp_path / "val2017" / "000000000005.jpg",
        tmp_path / "train2017" / "000000000009.jpg",
    ]
    assert data.classes.category_ids == (1, 1203)
    assert data.records[0].fields["neg_category_ids"] == [1203]
    assert data.coco["categories"][1]["frequency"] == "f"


@pytest.mark.parametrize("name", ["lvis_v1_val.json", "annotations/lvis_v1_val.json", "lvis_v0.5_val.json"])
def test_a_folder_is_recognized_by_the_names_of_its_files(tmp_path, name):
    file = lay_out(tmp_path, name)
    assert recognize(tmp_path, "val") == recognize(file) == "lvis"
    assert not is_lvis(tmp_path, "train")
    assert read_lvis(tmp_path, "val").images == tmp_path


def test_an_image_without_an_address_keeps_its_name(tmp_path):
    file = lay_out(tmp_path, coco_url=None, file_name="mine.jpg")
    assert read_lvis(file, images=tmp_path / "all").coco["images"][0]["file_name"] == "mine.jpg"


def test_an_image_with_neither_is_an_error(tmp_path):
    file = lay_out(tmp_path, coco_url="")
    with pytest.raises(DataError, match=r"lvis_v1_val.json: image 5: `coco_url` is ''"):
        read_lvis(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no lvis_v1_train.json"):
        read_lvis(tmp_path, "train")
