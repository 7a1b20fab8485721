import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data.images import image_size, load_image, read_image, read_pixels
from maskrcnn.data.opening import open_image
from maskrcnn.errors import DataError

RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]], [[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)


def saved(folder: Path, image: Image.Image, name: str = "image.png", **how) -> Path:
    image.save(folder / name, **how)
    return folder / name


def first_channel(path: Path) -> list:
    image = read_image(path)
    assert (image[0] == image[1]).all()
    assert (image[0] == image[2]).all()
    return image[0].tolist()


def test_a_color_image_is_rgb_bytes_whose_channels_lie_side_by_side(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(RGB))
    image = read_image(path)
    assert torch.equal(read_image(path, 3), image)
    assert image_size(path) == (3, 2)
    assert image.dtype == torch.uint8
    assert image.permute(1, 2, 0).is_contiguous()
    assert (image.numpy() == RGB.transpose(2, 0, 1)).all()


def test_the_exif_orientation_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, Image.fromarray(RGB), exif=exif)
    assert (read_image(path).numpy() == np.rot90(RGB, -1).transpose(2, 0, 1)).all()
    assert image_size(path) == (2, 3)


def test_gray_and_1_bit_images_get_three_equal_channels(tmp_path: Path):
    gray = np.array([[0, 7], [200, 255]], dtype=np.uint8)
    assert first_channel(saved(tmp_path, Image.fromarray(gray))) == gray.tolist()
    assert first_channel(saved(tmp_path, Image.fromarray(gray > 100))) == [[0, 0], [255, 255]]


def test_transparent_pixels_are_laid_on_white(tmp_path: Path):
    rgba = np.dstack([RGB, [[255, 0], [255, 255], [255, 51]]]).astype(np.uint8)
    image = read_image(saved(tmp_path, Image.fromarray(rgba)))
    assert image[:, 0, 0].tolist() == [255, 0, 0]
    assert image[:, 0, 1].tolist() == [255, 255, 255]
    assert image[:, 2, 1].tolist() == [205, 205, 205]
    gray = Image.merge("LA", [Image.new("L", (1, 1), 40), Image.new("L", (1, 1), 0)])
    assert first_channel(saved(tmp_path, gray)) == [[255]]


def test_palettes_also_transparent_ones_and_cmyk_become_rgb(tmp_path: Path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read_image(saved(tmp_path, palette)).flatten().tolist() == [10, 40, 20, 50, 30, 60]
    path = saved(tmp_path, palette, transparency=0)
    assert read_image(path).flatten().tolist() == [255, 40, 255, 50, 255, 60]
    cmyk = saved(tmp_path, Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "image.tif")
    assert read_image(cmyk).flatten().tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([0, 100, 255], np.uint16, [0, 100, 255]),
        ([0, 2048, 4095], np.uint16, [0, 128, 255]),
        ([0, 4096, 65535], np.uint16, [0, 16, 255]),
        ([0, 0.5, 1], np.float32, [0, 128, 255]),
        ([0, 1, 100.4], np.float32, [0, 1, 100]),
        ([-2, -1, 0], np.float32, [0, 128, 255]),
        ([-3, -3], np.float32, [0, 0]),
    ],
)
def test_values_are_scaled_by_the_smallest_range_that_holds_them(tmp_path: Path, values, kind, expected):
    path = saved(tmp_path, Image.fromarray(np.array([values], dtype=kind)), "image.tif")
    assert first_channel(path) == [expected]


def test_one_channel_is_gray(tmp_path: Path):
    gray = read_image(saved(tmp_path, Image.fromarray(RGB)), 1)
    assert gray.tolist() == [[[76, 150], [29, 8], [2, 5]]]
    deep = saved(tmp_path, Image.fromarray(np.array([[0, 2048, 4095]], dtype=np.uint16)))
    assert read_image(deep, 1).tolist() == [[[0, 128, 255]]]


def write_pages(folder: Path, pages: list[np.ndarray]) -> Path:
    assert cv2.imwritemulti(str(folder / "stack.tif"), pages)
    return folder / "stack.tif"


def test_each_page_of_a_tiff_is_a_channel(tmp_path: Path):
    pages = [np.full((3, 4), value, dtype=np.uint8) for value in (7, 0, 255, 9, 30)]
    stack = read_image(write_pages(tmp_path, pages), 5)
    assert stack.shape == (5, 3, 4)
    assert stack[:, 2, 3].tolist() == [7, 0, 255, 9, 30]
    assert stack.dtype == torch.uint8


def test_deep_channels_are_scaled_alike_so_that_they_can_be_compared(tmp_path: Path):
    pages = [np.full((2, 2), value, dtype=np.uint16) for value in (4095, 2048, 0, 100)]
    assert read_image(write_pages(tmp_path, pages), 4)[:, 0, 0].tolist() == [255, 128, 0, 6]


def test_four_values_of_a_pixel_are_four_channels_in_the_order_of_the_file(tmp_path: Path):
    values = np.array([[[1, 2, 3, 40], [5, 6, 7, 0]]], dtype=np.uint8)
    image = read_image(saved(tmp_path, Image.fromarray(values, mode="RGBA")), 4)
    assert image.permute(1, 2, 0).tolist() == values.tolist()


def test_a_file_of_another_number_of_channels_is_named(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(RGB))
    with pytest.raises(DataError, match=r"image.png: .* 3 channels \(pages: 1\), but 5"):
        read_image(path, 5)
    stack = write_pages(tmp_path, [np.zeros((2, 2), dtype=np.uint8)] * 2)
    with pytest.raises(DataError, match=r"stack.tif: .* 2 channels \(pages: 2\), but 4"):
        read_image(stack, 4)


def test_pages_of_different_sizes_are_no_channels(tmp_path: Path):
    pages = [np.zeros((2, 2), dtype=np.uint8), np.zeros((3, 2), dtype=np.uint8)]
    with pytest.raises(DataError, match="stack.tif: .* 2 x 2 px"):
        read_image(write_pages(tmp_path, pages), 2)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_file_of_several_channels_is_named(tmp_path: Path):
    path = write_pages(tmp_path, [np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)] * 4)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="stack.tif: "):
        read_image(path, 4)


@pytest.mark.parametrize("size", [(1, 1), (12000, 40), (40, 12000)])
def test_extreme_shapes_are_read(tmp_path: Path, size: tuple[int, int]):
    path = saved(tmp_path, Image.new("RGB", size))
    assert read_image(path).shape == (3, size[1], size[0])


@pytest.mark.parametrize("read", [read_image, image_size, lambda path: read_image(path, 4)])
@pytest.mark.parametrize(
    ("name", "value"),
    [("gone.png", "is not there"), ("", "folder"), ("empty.png", "0 bytes"), ("notes.png", "")],
)
def test_what_is_no_image_is_named(tmp_path: Path, read, name: str, value: str):
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("hello")
    with pytest.raises(DataError, match=rf"{name}: .*{value}"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.tif", "cut.bmp", "cut.webp", "cut.gif"])
def test_a_cut_off_image_is_named(tmp_path: Path, name: str):
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"{name}: "):
        read_image(path)


def test_damage_to_any_byte_raises_no_other_error(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    good = saved(tmp_path, Image.fromarray(noise)).read_bytes()
    for place in range(60):
        path = tmp_path / "bad.png"
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        with contextlib.suppress(DataError):
            assert read_image(path).ndim == 3


def test_a_decompression_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path, Image.new("1", (100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="image.png: .*pixels"):
        read_image(path)


def test_pixels_are_read_as_they_are_stored(tmp_path: Path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read_pixels(saved(tmp_path, palette)).tolist() == [[0, 1]]
    deep = np.array([[0, 40000]], dtype=np.uint16)
    assert read_pixels(saved(tmp_path, Image.fromarray(deep))).tolist() == deep.tolist()
    path = saved(tmp_path, Image.fromarray(RGB))
    assert read_pixels(path).tolist() == read_pixels(io.BytesIO(path.read_bytes())).tolist() == RGB.tolist()
    assert read_pixels(path, "L").shape == RGB.shape[:2]


def test_a_broken_image_is_named_whether_at_once_or_when_its_pixels_are_read(tmp_path: Path):
    path = saved(tmp_path, Image.effect_noise((64, 64), 90), "cut.jpg")
    path.write_bytes(path.read_bytes()[:600])
    assert image_size(path) == (64, 64)
    with open_image(path) as image, pytest.raises(OSError, match="truncated"):
        image.load()
    with pytest.raises(DataError, match="cut.jpg"):
        read_pixels(path)
    with pytest.raises(DataError, match="masks.zip/a: "):
        read_pixels(io.BytesIO(b"no image"), name="masks.zip/a")


def test_an_image_in_any_form_gives_the_same_bytes(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(RGB))
    expected = read_image(path)
    frozen = RGB.copy()
    frozen.flags.writeable = False
    for image in (path, str(path), RGB, frozen, RGB[..., ::-1].copy()[..., ::-1], expected, Image.fromarray(RGB)):
        assert torch.equal(load_image(image), expected)
    assert torch.equal(load_image(Image.fromarray(RGB), 1), read_image(path, 1))


def test_gray_arrays_become_as_many_equal_channels_as_are_needed():
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert load_image(gray).tolist() == [gray.tolist()] * 3
    assert load_image(gray, 1).tolist() == [gray.tolist()]
    assert load_image(Image.fromarray(gray)).tolist() == [gray.tolist()] * 3
    assert load_image(np.zeros((2, 3, 5), np.uint8), 5).shape == (5, 2, 3)
    assert load_image(Image.new("RGBA", (3, 2), (1, 2, 3, 4)), 4)[:, 0, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((8, 8), np.uint16), "uint16, up to 0"),
        (np.zeros((8, 8, 4), np.uint8), r"\[8, 8, 4\]"),
        (np.ones((8, 8, 3), np.float32), "float32, up to 1,.* 255"),
        (torch.full((3, 8, 8), 200.0), "float32, up to 200,"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"\[1, 3, 8, 8\].*list"),
        (torch.zeros(1, 8, 8, dtype=torch.uint8), r"\[1, 8, 8\]"),
        (np.zeros((0, 8, 3)), "float64"),
        ([[0, 0], [0, 0]], "a list"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_rgb_bytes_is_refused_with_its_value(wrong, words: str):
    with pytest.raises(DataError, match=rf"image: .*{words}") as error:
        load_image(wrong)
    assert "[height, width, 3] or a tensor [3, height, width]" in str(error.value)
