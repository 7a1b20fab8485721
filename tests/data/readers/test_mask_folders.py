import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.readers.coco import to_data
from maskrcnn.data.readers.mask_images import has_mask_folders, read_mask_folders
from maskrcnn.errors import DataError

SIZE = (6, 8)


def draw(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def mask(left, right, value=255, size=SIZE):
    values = np.zeros(size, np.uint8)
    values[1:3, left:right] = value
    return values


def bowl(root, name, *masks):
    """An image as the Data Science Bowl has it."""
    draw(root / name / "images" / f"{name}.png", np.zeros((*SIZE, 4), np.uint8))
    (root / name / "masks").mkdir()
    for number, values in enumerate(masks):
        draw(root / name / "masks" / f"{number}.png", values)


def data(path, split="train", skip_invalid=False, **more):
    contents = read_mask_folders(path, split, **more)
    return to_data(contents, skip_invalid=skip_invalid)


def test_each_mask_file_is_an_object(tmp_path):
    bowl(tmp_path / "stage1_train", "b", mask(0, 3), mask(2, 5, value=9))
    bowl(tmp_path / "stage1_train", "a")
    assert has_mask_folders(tmp_path, "train")
    assert not has_mask_folders(tmp_path, "test")
    read = data(tmp_path)
    assert [(record.path.name, len(record.instances)) for record in read.records] == [("a.png", 0), ("b.png", 2)]
    assert read.records[1].instances.boxes.tolist() == [[0, 1, 3, 3], [2, 1, 5, 3]]


def test_an_object_may_have_several_parts(tmp_path):
    bowl(tmp_path, "a", mask(0, 2) | mask(5, 8))
    assert data(tmp_path).records[0].instances.boxes.tolist() == [[0, 1, 8, 3]]


def test_masks_may_lie_in_a_folder_for_each_image(tmp_path):
    draw(tmp_path / "images" / "a.jpg", np.zeros((*SIZE, 3), np.uint8))
    draw(tmp_path / "masks" / "a" / "x.tif", mask(0, 3))
    assert has_mask_folders(tmp_path, "train")
    assert data(tmp_path).records[0].path.name == "a.jpg"
    draw(tmp_path / "images" / "b.jpg", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(DataError, match="1 of 2 images have no folder of masks there: .*b.jpg"):
        data(tmp_path)


def test_label_maps_are_no_mask_folders(tmp_path):
    draw(tmp_path / "images" / "train" / "a.png", np.zeros((*SIZE, 3), np.uint8))
    draw(tmp_path / "masks" / "train" / "a.png", mask(0, 3))
    assert not has_mask_folders(tmp_path, "train")
    with pytest.raises(DataError, match="no .* split `train`"):
        data(tmp_path)


def test_images_may_lie_elsewhere(tmp_path):
    bowl(tmp_path / "set", "a", mask(0, 3))
    (tmp_path / "set" / "a" / "images" / "a.png").unlink()
    draw(tmp_path / "photos" / "a.png", np.zeros((*SIZE, 3), np.uint8))
    assert data(tmp_path / "set", images=tmp_path / "photos").records[0].path == tmp_path / "photos" / "a.png"


def test_a_mask_without_a_pixel_is_refused_or_left_out(tmp_path):
    bowl(tmp_path, "a", mask(0, 3), mask(3, 3))
    with pytest.raises(DataError, match=r"masks/1\.png: the mask has no pixel"):
        data(tmp_path)
    read = data(tmp_path, skip_invalid=True)
    assert (len(read.records[0].instances), len(read.skipped)) == (1, 1)


def test_missing_and_wrong_files_are_named(tmp_path):
    bowl(tmp_path, "a", mask(0, 3), mask(0, 3, size=(6, 7)))
    with pytest.raises(DataError, match=r"1\.png: .*7 px.*6 px.*a\.png is 8 x 6"):
        data(tmp_path)
    (tmp_path / "a" / "masks" / "1.png").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"masks/1\.png: .*cannot be read"):
        data(tmp_path)
    (tmp_path / "a" / "masks" / "1.png").unlink()
    (tmp_path / "a" / "images" / "a.png").rename(tmp_path / "a" / "images" / "b.png")
    assert data(tmp_path).records[0].path.name == "b.png"
    (tmp_path / "a" / "images" / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 of its 1 images are not there: .*a/images/a\.png"):
        data(tmp_path)


def test_folders_that_are_not_as_they_should_be_are_named(tmp_path):
    bowl(tmp_path, "a", mask(0, 3))
    draw(tmp_path / "b" / "images" / "b.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(DataError, match="b: has no folder `masks`"):
        data(tmp_path)
    bowl(tmp_path, "c", mask(0, 3))
    draw(tmp_path / "a" / "images" / "second.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(DataError, match="holds 2 images, but must hold one"):
        data(tmp_path)
