from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.mhp import has_mhp, read_mhp, read_parts
from maskrcnn.errors import DataError
from tests.builders.mhp import ANNA, BERT, SIZE, lay_out


def test_each_person_has_the_union_of_its_parts(tmp_path: Path):
    contents = read_mhp(lay_out(tmp_path, {"12": [ANNA, BERT], "7": [ANNA]}), "val")
    assert [(image["id"], image["file_name"]) for image in contents.coco["images"]] == [(1, "12.jpg"), (2, "7.jpg")]
    people = contents.coco["annotations"]
    assert [(one["id"], one["image_id"], one["parts_file"]) for one in people] == [
        (1, 1, "val/parsing_annos/12_02_01.png"),
        (2, 1, "val/parsing_annos/12_02_02.png"),
        (3, 2, "val/parsing_annos/7_01_01.png"),
    ]
    assert (people[0]["bbox"], people[0]["area"]) == ([2, 2, 6, 14], 84)
    assert np.array_equal(coco_mask.decode(people[1]["segmentation"]), BERT > 0)


def test_the_folder_is_a_data_set_to_train_on(tmp_path: Path):
    folder = lay_out(tmp_path, {"1": [ANNA, BERT], "2": [BERT]}, "train", "train")
    assert recognize(folder, "train") == "mhp"
    data = read_dataset(folder, "train")
    assert data.classes.names == ("person",)
    assert [len(record.instances) for record in data.records] == [2, 1]
    assert data.records[1].instances.boxes.tolist() == [[18, 2, 26, 18]]


def test_people_without_a_pixel_are_left_out_and_images_may_have_nobody(tmp_path: Path):
    contents = read_mhp(lay_out(tmp_path, {"1": [np.zeros(SIZE, np.uint8), BERT], "2": []}), "val")
    assert [one["parts_file"][-11:] for one in contents.coco["annotations"]] == ["1_02_02.png"]
    assert [(image["height"], image["width"]) for image in contents.coco["images"]] == [SIZE, SIZE]


def test_only_listed_images_count_and_the_loaders_folder_is_found(tmp_path: Path):
    folder = lay_out(tmp_path, {"1": [ANNA], "2": [BERT]}, "test", "test_all", place="annotations")
    (folder / "list" / "test_inter_top10.txt").write_text("2\n\n")
    assert has_mhp(folder, "test")
    assert len(read_mhp(folder, "test").coco["annotations"]) == 2
    (one,) = read_mhp(folder, "test_inter_top10").coco["annotations"]
    assert one["parts_file"] == "test/annotations/2_01_01.png"


def test_maps_of_one_channel_are_the_same(tmp_path: Path):
    Image.fromarray(ANNA).save(tmp_path / "gray.png")
    Image.fromarray(np.dstack([ANNA, BERT, BERT])).save(tmp_path / "color.png")
    assert np.array_equal(read_parts(tmp_path / "gray.png").decode(), ANNA)
    assert np.array_equal(read_parts(tmp_path / "color.png").decode(), ANNA)


def test_missing_and_broken_files_are_named(tmp_path: Path):
    folder = lay_out(tmp_path, {"1": [ANNA, BERT]})
    Image.fromarray(ANNA[:10]).save(folder / "val" / "parsing_annos" / "1_02_02.png")
    with pytest.raises(DataError, match="1_02_02.png: .*30 x 10 .*30 x 20"):
        read_mhp(folder, "val")
    (folder / "val" / "parsing_annos" / "1_02_02.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="1_02_02.png: "):
        read_mhp(folder, "val")
    (folder / "val" / "parsing_annos").rename(folder / "val" / "elsewhere")
    with pytest.raises(DataError, match="val/parsing_annos: "):
        read_mhp(folder, "val")
