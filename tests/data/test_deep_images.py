"""Images of more than 8 bits per channel, and kinds of TIFF that Pillow does not read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskrcnn.config import InputSettings
from maskrcnn.data.dataset_range import find_dataset_range, with_dataset_range
from maskrcnn.data.deep_images import image_extent
from maskrcnn.data.images import image_size, load_image, read_image
from maskrcnn.data.pixel_limit import VARIABLE
from maskrcnn.errors import DataError, SettingError

COLORS = np.array([[[4095, 0, 0], [0, 2048, 0]], [[0, 0, 1024], [16, 16, 16]]], dtype=np.uint16)
IN_BYTES = [[[255, 0], [0, 1]], [[0, 128], [0, 1]], [[0, 0], [64, 1]]]


def write(path: Path, values: np.ndarray, **how) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, **how)
    else:
        assert cv2.imwrite(str(path), values[..., ::-1])
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("a.png", {}, id="png"),
        pytest.param("a.ppm", {}, id="ppm"),
        pytest.param("a.tif", {"photometric": "rgb"}, id="tiff"),
        pytest.param("a.tif", {"photometric": "rgb", "planarconfig": "separate"}, id="planes"),
        pytest.param("a.tif", {"photometric": "rgb", "tile": (16, 16)}, id="tiles"),
        pytest.param("a.tif", {"photometric": "rgb", "bigtiff": True}, id="bigtiff"),
        pytest.param("a.tif", {"photometric": "rgb", "byteorder": ">"}, id="big-endian"),
        pytest.param("a.tif", {"photometric": "rgb", "compression": "lzw", "predictor": True}, id="lzw"),
    ],
)
def test_colors_of_12_bits_in_16_are_scaled_as_gray_ones_are(tmp_path, name, how):
    values = COLORS.transpose(2, 0, 1) if "planarconfig" in how else COLORS
    path = write(tmp_path / name, values, **how)
    assert read_image(path).tolist() == IN_BYTES
    assert image_size(path) == (2, 2)


def test_deep_colors_of_jpeg_2000_are_not_cut_to_their_high_bytes(tmp_path):
    path = write(tmp_path / "a.jp2", np.full((64, 64, 3), (4095, 2048, 16), np.uint16))
    assert read_image(path)[:, 0, 0].tolist() == [255, 128, 1]


@pytest.mark.parametrize("kind", [np.uint32, np.int32, np.float32, np.float64, np.float16])
def test_every_type_of_numbers_is_read(tmp_path, kind):
    path = write(tmp_path / "a.tif", np.array([[0, 512, 1020]]).astype(kind))
    assert read_image(path, value_range=(0, 1020))[0].tolist() == [[0, 128, 255]]


def test_alpha_of_deep_colors_is_laid_on_white(tmp_path):
    values = np.array([[[65535, 0, 0, 65535], [0, 0, 0, 0]]], dtype=np.uint16)
    path = write(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    assert read_image(path)[:, 0].T.tolist() == [[255, 0, 0], [255, 255, 255]]


def test_the_orientation_is_applied_to_bytes_and_to_deep_images(tmp_path):
    for name in ("a.tif", "a.png"):
        exif = Image.Exif()
        exif[0x0112] = 6
        for values in (np.array([[0, 65535]], dtype=np.uint16), np.array([[0, 255]], dtype=np.uint8)):
            Image.fromarray(values).save(tmp_path / name, exif=exif)
            assert image_size(tmp_path / name) == (2, 1)
            assert read_image(tmp_path / name)[0].tolist() == [[0], [255]]


def test_white_is_0_where_the_file_says_so(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[0, 65535]], dtype=np.uint16), photometric="miniswhite")
    assert read_image(path)[0].tolist() == [[255, 0]]


def test_the_same_value_is_the_same_byte_in_every_image_of_a_set(tmp_path):
    paths = [
        write(tmp_path / f"{top}.tif", np.array([[700, top]], dtype=np.uint16), photometric="minisblack")
        for top in (1000, 4000, 16000)
    ]
    alone = [read_image(path)[0, 0, 0].item() for path in paths]
    assert alone == [174, 44, 11]
    settings, found = with_dataset_range(InputSettings(), paths)
    assert settings.range == found.value_range == (0, 16383)
    assert (found.images, found.extent.low, found.extent.high) == (3, 700, 16000)
    assert [read_image(path, value_range=settings.range)[0, 0, 0].item() for path in paths] == [11, 11, 11]


def test_a_set_of_bytes_has_no_range_and_a_set_range_stays(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    deep = write(tmp_path / "c.tif", COLORS, photometric="rgb")
    assert find_dataset_range([tmp_path / "a.png", tmp_path / "b.png"], 3) is None
    given = InputSettings(range=(0, 100))
    assert with_dataset_range(given, [deep]) == (given, None)


def test_bytes_do_not_depend_on_range_or_stretching(tmp_path):
    for name in ("a.png", "a.tif"):
        Image.new("L", (2, 2), 77).save(tmp_path / name)
        assert (read_image(tmp_path / name, value_range=(0, 100), stretch=(1, 99)) == 77).all()


def test_values_outside_the_range_are_black_and_white(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[0, 100, 151, 200, 60000]], dtype=np.uint16))
    assert read_image(path, value_range=(100, 200))[0].tolist() == [[0, 0, 130, 255, 255]]


def test_stretching_comes_before_the_cut_to_8_bits(tmp_path):
    values = np.arange(100, 200, dtype=np.uint16).reshape(10, 10)
    values[0, 0] = 65535
    path = write(tmp_path / "a.tif", values)
    assert len(read_image(path)[0].unique()) <= 3
    assert len(read_image(path, stretch=(1, 98))[0].unique()) > 90


@pytest.mark.parametrize("gap", [np.nan, np.inf, -9999, -3.4028235e38])
def test_values_without_data_do_not_count_and_are_black(tmp_path, gap):
    path = write(tmp_path / "a.tif", np.array([[gap, 0, 0.5, 1]], dtype=np.float32))
    assert read_image(path)[0].tolist() == [[0, 0, 128, 255]]
    extent = image_extent(path)
    assert (extent.low, extent.high, extent.missing) == (0, 1, 1)


def test_gdal_says_which_value_holds_no_data(tmp_path):
    values = np.array([[65535, 0, 4095]], dtype=np.uint16)
    path = write(tmp_path / "a.tif", values, extratags=[(42113, "s", 0, "65535", True)])
    assert read_image(path)[0].tolist() == [[0, 0, 255]]


def test_an_image_without_any_data_is_black(tmp_path):
    assert (read_image(write(tmp_path / "a.tif", np.full((2, 2), np.nan, np.float32))) == 0).all()


@pytest.mark.parametrize("planes", [{"planarconfig": "separate"}, {}])
def test_many_channels_are_read_in_their_order(tmp_path, planes):
    values = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((6, 3, 4), np.uint8)
    values = values if planes else values.transpose(1, 2, 0)
    path = write(tmp_path / "a.tif", values, photometric="minisblack", **(planes or {"planarconfig": "contig"}))
    assert read_image(path, 6)[:, 2, 3].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(DataError, match=r"a.tif: .* 6 channels"):
        read_image(path)


def test_arrays_of_more_than_8_bits_need_a_range(tmp_path):
    values = np.array([[0, 2048, 4095]], dtype=np.uint16)
    assert load_image(values, value_range=(0, 4095))[0].tolist() == [[0, 128, 255]]
    with pytest.raises(DataError, match="uint16"):
        load_image(values)


@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_cut_off_deep_file_is_named_and_not_filled_up(tmp_path, part):
    noise = np.random.default_rng(0).integers(0, 65535, (60, 60, 3), dtype=np.uint16)
    path = write(tmp_path / "a.tif", noise, photometric="rgb", rowsperstrip=8)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(DataError, match="a.tif: "):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "b.tif"])
@pytest.mark.parametrize("read", [read_image, image_size, lambda path: read_image(path, 4)])
def test_a_limit_of_pixels_holds_for_every_kind_of_file_and_can_be_raised(tmp_path, monkeypatch, name, read):
    if name == "b.tif":
        path = write(tmp_path / name, np.zeros((100, 100, 4), np.uint16), photometric="rgb", planarconfig="contig")
    else:
        path = tmp_path / name
        Image.new("RGBA", (100, 100)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)
    with pytest.raises(DataError, match=f"{name}: .*100 x 100.*{VARIABLE}"):
        read(path)
    monkeypatch.setenv(VARIABLE, "10000")
    read(path)


def test_a_wrong_range_is_named():
    with pytest.raises(SettingError, match="range="):
        InputSettings(range=(5, 5))
