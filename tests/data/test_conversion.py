import json
import os

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.confinement import VARIABLE
from maskrcnn.data.conversion import completed_contents, convert_dataset, require_size, write_coco
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError, SettingError
from tests.builders.exports import SHARED, assert_equal, drawn_set

IMAGE = {"id": 4, "file_name": "sub/a.png", "width": 60, "height": 50, "weather": "rain"}
POLYGON = [[10, 5, 20.5, 5, 20.5, 15, 10, 15]]


def lay_out(folder, *annotations, **more):
    (folder / "images" / "sub").mkdir(parents=True)
    Image.new("L", (60, 50)).save(folder / "images" / "sub" / "a.png")
    numbered = [{"id": n, "image_id": 4, "category_id": 7, **one} for n, one in enumerate(annotations, start=1)]
    content = {"images": [IMAGE], "categories": [{"id": 7, "name": "cat"}], "annotations": numbered, **more}
    (folder / "train.json").write_text(json.dumps(content))
    return read_dataset(folder, skip_invalid=True)


def test_what_is_missing_is_filled_in_and_the_rest_stays(tmp_path):
    plain = completed_contents(lay_out(tmp_path / "box", {"bbox": [1, 2, 3, 4]}), tmp_path)["annotations"]
    assert plain[0]["area"] == 12
    crowd = {"bbox": [1.1, 2, 3, 4], "iscrowd": 1, "area": 7, "note": "x"}
    data = lay_out(tmp_path, {"segmentation": POLYGON}, {"bbox": [1, 2, 0, 4]}, crowd, info={"year": 2026})
    found = completed_contents(data, tmp_path / "images" / "sub")
    assert found["info"] == {"year": 2026}
    assert found["images"] == [{**IMAGE, "file_name": "a.png"}]
    outlined, boxed = found["annotations"]
    assert outlined["segmentation"] == POLYGON
    assert (outlined["bbox"], outlined["iscrowd"]) == ([10, 5, 10.5, 10], 0)
    assert outlined["area"] == data.records[0].instances.masks.crop(0).bitmap.sum()
    assert boxed == {"id": 3, "image_id": 4, "category_id": 7, "segmentation": [], **crowd}


def test_each_object_gets_its_own_box(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps(drawn_set(tmp_path / "images")))
    data = read_dataset(tmp_path)
    boxes = [[x1, y1, x2 - x1, y2 - y1] for one in data.records for x1, y1, x2, y2 in one.instances.boxes.tolist()]
    found = completed_contents(data, tmp_path / "images")["annotations"]
    assert [one["bbox"] for one in found] == boxes
    assert len(set(map(tuple, boxes))) == 4


@pytest.mark.parametrize("images_as", ["copy", "link", "none"])
def test_what_is_written_is_read_back_the_same(tmp_path, images_as, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")  # links lead out of the folder
    data = lay_out(tmp_path / "old", {"segmentation": POLYGON}, {"bbox": [1.1, 2.2, 3.3, 4.4]})
    seen = []
    write_coco(data, tmp_path / "new" / "train.json", tmp_path / "new" / "images", images_as=images_as, say=seen.append)
    assert seen == [1]
    place = tmp_path / "new" / "images" / "a.png"
    assert (place.exists(), place.is_symlink()) == (images_as != "none", images_as == "link")
    folder = data.records[0].path.parent if images_as == "none" else None
    assert_equal(data, read_dataset(tmp_path / "new", images=folder))
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_an_image_of_another_size_is_an_error_and_no_file_is_written(tmp_path):
    data = lay_out(tmp_path, {"segmentation": POLYGON})
    Image.new("L", (50, 60)).save(data.records[0].path)
    for write in (
        lambda: require_size(data.records[0]),
        lambda: write_coco(data, tmp_path / "new" / "train.json", tmp_path / "new"),
    ):
        with pytest.raises(DataError, match=r"a.png: .*50 px.*60 px.* 60 x 50"):
            write()
    assert not (tmp_path / "new" / "train.json").exists()


def test_what_is_read_is_never_written_over(tmp_path):
    data = lay_out(tmp_path, {"segmentation": POLYGON})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for file, folder in (("train.json", "new"), ("new.json", "images/sub")):
        with pytest.raises(SettingError, match="train.json|a.png"):
            write_coco(data, tmp_path / file, tmp_path / folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_links_to_what_is_read_can_be_written_over_but_not_what_it_links_to(tmp_path):
    data = lay_out(tmp_path / "old", {"segmentation": POLYGON})
    file, folder = tmp_path / "new.json", tmp_path / "new"
    write_coco(data, file, folder, images_as="link")
    linked = read_dataset(file, images=folder)
    write_coco(data, file, folder, images_as="copy")
    assert not (folder / "a.png").is_symlink()
    write_coco(data, file, folder, images_as="link")
    with pytest.raises(SettingError, match="train.json|a.png"):
        write_coco(linked, tmp_path / "third.json", data.records[0].path.parent)


def test_a_copy_that_fails_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    data = lay_out(tmp_path / "old", {"segmentation": POLYGON})
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.png").write_text("old")

    def fail(source, target):
        target.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr("maskrcnn.data.conversion.shutil.copyfile", fail)
    with pytest.raises(OSError, match="disk full"):
        write_coco(data, tmp_path / "new.json", tmp_path / "new")
    assert os.listdir(tmp_path / "new") == ["a.png"]
    assert (tmp_path / "new" / "a.png").read_text() == "old"


@pytest.mark.parametrize("name", ["coco_small", "coco_person", "dsb2018", "icdar2015"])
def test_real_data_come_back_equal_and_their_own_numbers_stay(tmp_path, name, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")  # links lead out of the folder
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs shared/data/{name}")
    file = next(path for path in sorted((SHARED / name).glob("*val.json")))
    data = read_dataset(file)
    write_coco(data, tmp_path / "val.json", tmp_path / "images", images_as="link")
    assert_equal(data, read_dataset(tmp_path, "val"))
    before, after = (json.loads(path.read_text())["annotations"] for path in (file, tmp_path / "val.json"))
    assert all(new.items() >= old.items() for old, new in zip(before, after, strict=True))
    assert np.isfinite([one["area"] for one in after]).all()


def test_splits_with_other_classes_are_refused_as_training_refuses_them(tmp_path):
    for split, name in (("train", "cat"), ("val", "dog")):
        lay_out(tmp_path / split, categories=[{"id": 7, "name": name}])
        (tmp_path / split / "train.json").rename(tmp_path / f"{split}.json")
        (tmp_path / split / "images").rename(tmp_path / f"{split}_images")
    (tmp_path / "train_images").rename(tmp_path / "images")
    with pytest.raises(DataError, match="val.json: .* val .*dog.* train .*cat"):
        convert_dataset(tmp_path, tmp_path / "out")


def test_a_dataset_is_printed_on_one_line(tmp_path):
    shown = repr(lay_out(tmp_path, {"bbox": [1, 2, 3, 4]}))
    assert "train.json" in shown
    assert "cat" in shown
    assert len(shown) < 400


def test_derived_fields_are_computed_and_no_nan_is_written(tmp_path):
    wrong = {"bbox": [1, 2, 3, 4], "area": float("nan"), "keypoints": [1, 2, 2, 3, 4, 0], "num_keypoints": 0}
    data = lay_out(tmp_path / "old", wrong, {"segmentation": POLYGON, "area": 0, "note": [float("inf")]})
    write_coco(data, tmp_path / "new" / "train.json", tmp_path / "new" / "images")
    boxed, outlined = json.loads((tmp_path / "new" / "train.json").read_text(), parse_constant=pytest.fail)[
        "annotations"
    ]
    assert (boxed["area"], boxed["num_keypoints"]) == (12, 1)
    assert (outlined["area"], outlined["note"]) == (data.records[0].instances.masks.crop(1).bitmap.sum(), [None])
