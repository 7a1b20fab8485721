import time
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from maskrcnn.doctor import images
from maskrcnn.doctor.images import (
    close_hashes,
    correlation,
    difference_hash,
    look_at_image,
    look_at_images,
    near_pairs,
    same_files,
)
from tests.builders.made_set import noise


def records(*paths):
    return [SimpleNamespace(path=path, pixels=None) for path in paths]


def test_facts_of_an_image_are_those_of_its_file(tmp_path):
    Image.fromarray(noise(1)).save(tmp_path / "a.png")
    facts = look_at_image(tmp_path / "a.png")
    assert facts.problem is None
    assert (facts.size, facts.mode, facts.orientation, facts.pages, facts.gray) == ((64, 96), "RGB", 1, 1, False)
    assert facts.thumb.shape == (16, 16)
    assert len(facts.digest) == 32


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"hello", "an image"), (None, "No such file")])
def test_a_file_that_is_no_image_is_a_problem(tmp_path, content, words):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    assert words in look_at_image(tmp_path / "a.png").problem


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("RGBA", "a.png"), ("CMYK", "a.jpg"), ("I;16", "a.png")])
def test_modes_are_those_of_the_file(tmp_path, mode, name):
    image = Image.fromarray(noise(1))
    image = Image.fromarray(np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)) if mode == "I;16" else image
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / name)
    facts = look_at_image(tmp_path / name)
    assert facts.mode == mode
    assert facts.gray == (mode in ("L", "I;16"))


def test_brightness_is_that_of_the_brightest_hundredth(tmp_path):
    image = np.full((100, 100), 30, dtype=np.uint8)
    image[:3] = 200
    Image.fromarray(image).save(tmp_path / "a.png")
    assert look_at_image(tmp_path / "a.png").bright == 200
    image[:3], image[0, :50] = 30, 200
    Image.fromarray(image).save(tmp_path / "b.png")
    assert look_at_image(tmp_path / "b.png").bright == 30


def test_pages_are_counted(tmp_path):
    pages = [Image.fromarray(noise(n)) for n in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert look_at_image(tmp_path / "a.tif").pages == 3


def test_many_images_come_in_their_order_and_are_counted(tmp_path):
    paths, counts = [], []
    for number in range(7):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(noise(number, (10 + number, 12))).save(paths[-1])
    facts = look_at_images(records(*paths), workers=3, on_progress=counts.append)
    assert [one.size[0] for one in facts] == [10, 11, 12, 13, 14, 15, 16]
    assert counts == [1] * 7
    assert look_at_images([]) == []


def test_bits_of_the_hash_say_where_brightness_rises_to_the_right():
    ramp = np.repeat(np.tile(np.arange(90, dtype=np.uint8), (16, 1))[..., None], 3, axis=2)
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1]) == 0


def test_the_hash_hardly_changes_with_size_and_brightness():
    image = noise(3, (128, 192))
    smaller = np.asarray(Image.fromarray(image).resize((90, 60)))
    darker = (image * 0.7).astype(np.uint8)
    for other in (smaller, darker):
        assert (difference_hash(image) ^ difference_hash(other)).bit_count() <= 4
    assert (difference_hash(image) ^ difference_hash(noise(4, (128, 192)))).bit_count() > 12


def facts_of(folder, images):
    paths = [folder / f"{number}.{kind}" for number, (_, kind) in enumerate(images)]
    for path, (image, _) in zip(paths, images):
        Image.fromarray(image).save(path)
    return look_at_images(records(*paths), workers=1)


def test_the_same_bytes_are_one_group(tmp_path):
    facts = facts_of(tmp_path, [(noise(1), "png"), (noise(2), "png"), (noise(1), "png"), (noise(1), "png")])
    assert same_files(facts) == [[0, 2, 3]]


def test_a_recoded_and_a_smaller_copy_are_found_and_other_images_are_not(tmp_path):
    image = noise(1, (128, 192))
    smaller = np.asarray(Image.fromarray(image).resize((120, 80), Image.Resampling.LANCZOS))
    images = [(image, "png"), (noise(2), "png"), (image, "jpg"), (smaller, "png"), (noise(3), "png")]
    assert near_pairs(facts_of(tmp_path, images)) == [(0, 2), (0, 3), (2, 3)]


def test_files_with_the_same_bytes_flat_and_broken_ones_are_no_near_pair(tmp_path):
    flat = [(np.full((32, 32, 3), value, dtype=np.uint8), "png") for value in (0, 1, 90)]
    assert near_pairs(facts_of(tmp_path, [(noise(1), "png"), (noise(1), "png"), *flat])) == []
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_text(name)
    assert near_pairs(look_at_images(records(tmp_path / "a.png", tmp_path / "b.png"))) == near_pairs([]) == []


def test_close_hashes_are_those_that_comparing_all_finds():
    random = np.random.default_rng(0)
    hashes = [int(value) for value in random.integers(0, 2**63, 60)]
    for near in hashes[:20]:
        bits = random.choice(64, int(random.integers(0, 7)), replace=False)
        hashes.append(near ^ sum(1 << int(bit) for bit in bits))
    slow = {(a, b) for a, b in combinations(range(80), 2) if (hashes[a] ^ hashes[b]).bit_count() <= 4}
    assert 5 < len(slow) < 25
    assert close_hashes(hashes, 4) == slow


def test_hashes_that_differ_everywhere_are_close():
    assert close_hashes([0, sum(1 << bit for bit in (5, 20, 40, 60))], 4) == {(0, 1)}


def test_the_same_hash_alone_is_not_enough(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 96), (64, 1))[..., None].repeat(3, axis=2)
    steep, even = (np.round(255 * values).astype(np.uint8) for values in (0.1 * ramp + 0.9 * ramp**12, ramp))
    facts = facts_of(tmp_path, [(steep, "png"), (even, "png")])
    assert facts[0].hash == facts[1].hash
    assert near_pairs(facts) == []


def test_many_hashes_take_no_longer_than_a_moment():
    hashes = np.random.default_rng(0).integers(0, 2**63, 20000).tolist()
    start = time.monotonic()
    close_hashes(hashes, 4)
    assert time.monotonic() - start < 10


def test_a_film_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(images, "MOST_PAIRS", 100)
    assert len(close_hashes([7] * 1000, 4)) == 100


def test_correlation_is_that_of_numpy_and_0_without_contrast():
    first, second = np.random.default_rng(1).random((2, 16, 16))
    assert abs(correlation(first, second) - np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 1e-12
    assert correlation(first, np.ones((16, 16))) == 0
