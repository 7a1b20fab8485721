import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.health.pictures import difference_hash, look_at_picture, look_at_pictures
from tests.data.health.made import noise


def test_facts_of_a_picture_are_those_of_its_file(tmp_path):
    Image.fromarray(noise(1)).save(tmp_path / "a.png")
    facts = look_at_picture(tmp_path / "a.png")
    assert facts.problem is None
    assert (facts.size, facts.mode, facts.orientation, facts.pages, facts.grey) == ((64, 96), "RGB", 1, 1, False)
    assert facts.thumb.shape == (16, 16)
    assert len(facts.digest) == 32


def test_a_picture_cut_off_in_the_middle_is_a_problem(tmp_path):
    Image.fromarray(noise(1)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    facts = look_at_picture(tmp_path / "a.jpg")
    assert "cannot be read as a picture" in facts.problem
    assert facts.size == (0, 0)


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"hello", "cannot be read as a picture")])
def test_a_file_that_is_no_picture_is_a_problem(tmp_path, content, words):
    (tmp_path / "a.png").write_bytes(content)
    assert words in look_at_picture(tmp_path / "a.png").problem


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    assert "cannot be read" in look_at_picture(tmp_path / "a.png").problem


def test_size_is_that_after_the_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(1)).save(tmp_path / "a.jpg", exif=exif)
    facts = look_at_picture(tmp_path / "a.jpg")
    assert (facts.size, facts.orientation) == ((96, 64), 6)


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("RGBA", "a.png"), ("CMYK", "a.jpg"), ("I;16", "a.png")])
def test_modes_are_those_of_the_file(tmp_path, mode, name):
    picture = Image.fromarray(noise(1))
    picture = Image.fromarray(np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)) if mode == "I;16" else picture
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / name)
    facts = look_at_picture(tmp_path / name)
    assert facts.mode == mode
    assert facts.grey == (mode in ("L", "I;16"))


def test_brightness_is_that_of_the_brightest_hundredth(tmp_path):
    picture = np.full((100, 100), 30, dtype=np.uint8)
    picture[:3] = 200
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert look_at_picture(tmp_path / "a.png").bright == 200
    picture[:3], picture[0, :50] = 30, 200
    Image.fromarray(picture).save(tmp_path / "b.png")
    assert look_at_picture(tmp_path / "b.png").bright == 30


def test_pages_are_counted(tmp_path):
    pages = [Image.fromarray(noise(n)) for n in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert look_at_picture(tmp_path / "a.tif").pages == 3


def test_many_pictures_come_in_their_order_and_are_counted(tmp_path):
    paths, counts = [], []
    for number in range(7):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(noise(number, (10 + number, 12))).save(paths[-1])
    facts = look_at_pictures(paths, workers=3, on_progress=counts.append)
    assert [one.size[0] for one in facts] == [10, 11, 12, 13, 14, 15, 16]
    assert counts == [1] * 7
    assert look_at_pictures([]) == []


def test_bits_of_the_hash_say_where_brightness_rises_to_the_right():
    ramp = np.repeat(np.tile(np.arange(90, dtype=np.uint8), (16, 1))[..., None], 3, axis=2)
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0


def test_the_hash_hardly_changes_with_size_and_brightness():
    picture = noise(3, (128, 192))
    smaller = np.asarray(Image.fromarray(picture).resize((90, 60)))
    darker = (picture * 0.7).astype(np.uint8)
    for other in (smaller, darker):
        assert (difference_hash(picture) ^ difference_hash(other)).bit_count() <= 4
    assert (difference_hash(picture) ^ difference_hash(noise(4, (128, 192)))).bit_count() > 12
