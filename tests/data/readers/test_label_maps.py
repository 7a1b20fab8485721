import numpy as np
import pytest
import scipy.io
import tifffile
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from maskrcnn.data.readers.label_maps import map_objects, map_parts, read_label_map, read_mask
from maskrcnn.errors import DataError

MAP = np.array([[0, 0, 3, 3], [300, 0, 3, 0], [300, 300, 0, 0]])


def saved(tmp_path, values, name, **more):
    Image.fromarray(values, **more).save(tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.mat", "a_mask.txt"])
def test_a_label_map_is_the_same_in_every_kind_of_file(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, MAP.astype(float))
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {"inst_map": MAP.astype(float), "inst_centroid": np.ones((2, 2))})
    elif path.suffix == ".txt":
        path.write_text("4 3\n" + "\n".join(map(str, MAP.ravel())))
    else:
        Image.fromarray(MAP.astype(np.uint16)).save(path)
    assert read_label_map(path).tolist() == MAP.tolist()


def test_maps_of_32_bits_and_floats_and_the_index_of_a_palette(tmp_path):
    assert read_label_map(saved(tmp_path, (MAP * 1000).astype(np.int32), "a.tif")).max() == 300_000
    assert read_label_map(saved(tmp_path, MAP.astype(np.float32), "b.tif")).tolist() == MAP.tolist()
    palette = Image.fromarray(np.array([[0, 2], [1, 2]], np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "c.png")
    assert read_label_map(tmp_path / "c.png").tolist() == [[0, 2], [1, 2]]


def test_each_color_is_an_object_and_gray_keeps_its_value(tmp_path):
    colors = np.array([[[0, 0, 0], [1, 2, 3]], [[9, 9, 9], [1, 2, 3]]], np.uint8)
    assert read_label_map(saved(tmp_path, colors, "a.png")).tolist() == [[0, 197121], [592137, 197121]]
    gray = np.repeat(np.array([[0, 7]], np.uint8)[..., None], 3, axis=2)
    assert read_label_map(saved(tmp_path, gray, "b.png")).tolist() == [[0, 7]]
    opaque = np.concatenate([gray, np.full((1, 2, 1), 255, np.uint8)], axis=2)
    assert read_label_map(saved(tmp_path, opaque, "c.png")).tolist() == [[0, 7]]


def test_files_of_one_bit_are_plain_masks(tmp_path):
    assert read_label_map(saved(tmp_path, np.array([[True, False]]), "a.png")).tolist() == [[255, 0]]
    np.save(tmp_path / "a.npy", np.array([[True, False]]))
    assert read_label_map(tmp_path / "a.npy").tolist() == [[255, 0]]
    assert read_mask(tmp_path / "a.png").tolist() == [[True, False]]


def test_each_value_is_an_object_with_box_area_and_rle():
    (first, small), (second, large) = map_objects(MAP)
    assert (first, second) == (3, 300)
    assert (small["bbox"], small["area"]) == ([2, 0, 2, 2], 3)
    assert (large["bbox"], large["area"]) == ([0, 1, 2, 2], 3)
    assert coco_mask.decode(large["segmentation"]).tolist() == (MAP == 300).astype(int).tolist()
    assert map_objects(np.zeros((2, 2), int)) == []
    assert len(map_objects(np.array([[1, 0, 1]]))) == 1  # also where its pixels do not hang together


def test_parts_of_a_plain_mask_are_objects():
    mask = np.array([[255, 0, 0, 0], [0, 255, 0, 255]])
    assert [fields["area"] for _, fields in map_objects(mask)] == [2, 1]
    classes = map_parts(np.array([[1, 0, 1, 2], [1, 0, 1, 2]]))
    assert [(value, fields["area"]) for value, fields in classes] == [(1, 2), (1, 2), (2, 2)]
    assert len(map_objects(np.where(mask, 254, 0))) == 1
    assert len(map_objects(np.array([[255, 0, 255, 1]]))) == 2  # 255 beside others is a value like them


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.png", lambda path: None, ""),
        ("a.jpg", lambda path: path.write_bytes(b"x"), "JPEG"),
        ("a.png", lambda path: path.write_bytes(b"no image"), ""),
        ("a.npy", lambda path: path.write_bytes(b"x"), ""),
        ("a.npy", lambda path: np.save(path, np.array([{}])), ""),
        ("a.npy", lambda path: np.save(path, np.zeros((2, 3, 4))), r"\[2, 3, 4\]"),
        ("a.npy", lambda path: np.save(path, np.full((2, 3), 0.5)), "whole"),
        ("a.npy", lambda path: np.save(path, np.full((2, 3), np.nan)), "whole"),
        ("a.npy", lambda path: np.save(path, np.full((2, 3), -1)), " -1"),
        ("a.mat", lambda path: path.write_bytes(b"x" * 200), "MATLAB"),
        ("a.mat", lambda path: scipy.io.savemat(path, {"map": MAP}), " map, "),
        ("a.txt", lambda path: path.write_text("4 3\n1 2 3"), "`width height`"),
        ("a.txt", lambda path: path.write_text("one line"), "`width height`"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}: .*{message}"):
        read_label_map(tmp_path / name)


def test_label_maps_of_32_bits_without_sign_are_read_whole(tmp_path):
    values = np.array([[0, 70000], [3_000_000_000, 1]], np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", values, compression="zlib")
    assert np.array_equal(read_label_map(tmp_path / "a.tif"), values)
