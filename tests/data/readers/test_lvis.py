import json
from pathlib import Path

import pytest

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.lvis import is_lvis, read_lvis
from maskrcnn.errors import DataError
from tests.builders import lvis


def lay_out(folder: Path, name: str = "lvis_v1_val.json", **image) -> Path:
    """The builder's dataset; `image` changes what the file says of its first image."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    lvis.lay_out(folder, name)
    content = json.loads(file.read_text())
    content["images"][0] |= image
    file.write_text(json.dumps(content))
    return file


def test_images_are_found_by_their_addresses(tmp_path):
    data = read_dataset(lay_out(tmp_path))
    assert [record.path for record in data.records] == [
        tmp_path / "val2017" / "000000000005.jpg",
        tmp_path / "train2017" / "000000000009.jpg",
    ]
    assert data.classes.category_ids == (1, 4)
    assert data.records[0].fields["neg_category_ids"] == [4]
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
