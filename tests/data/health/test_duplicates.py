import time
from itertools import combinations

import numpy as np
from PIL import Image

from maskrcnn.data.health import duplicates
from maskrcnn.data.health.duplicates import close_hashes, correlation, near_pairs, same_files
from maskrcnn.data.health.pictures import look_at_pictures
from tests.data.health.made import noise


def facts_of(folder, pictures):
    paths = [folder / f"{number}.{kind}" for number, (_, kind) in enumerate(pictures)]
    for path, (picture, _) in zip(paths, pictures):
        Image.fromarray(picture).save(path)
    return look_at_pictures(paths, workers=1)


def test_the_same_bytes_are_one_group(tmp_path):
    facts = facts_of(tmp_path, [(noise(1), "png"), (noise(2), "png"), (noise(1), "png"), (noise(1), "png")])
    assert same_files(facts) == [[0, 2, 3]]


def test_a_recoded_and_a_smaller_copy_are_found_and_other_pictures_are_not(tmp_path):
    picture = noise(1, (128, 192))
    smaller = np.asarray(Image.fromarray(picture).resize((120, 80), Image.Resampling.LANCZOS))
    pictures = [(picture, "png"), (noise(2), "png"), (picture, "jpg"), (smaller, "png"), (noise(3), "png")]
    assert near_pairs(facts_of(tmp_path, pictures)) == [(0, 2), (0, 3), (2, 3)]


def test_files_with_the_same_bytes_are_no_near_pair(tmp_path):
    assert near_pairs(facts_of(tmp_path, [(noise(1), "png"), (noise(1), "png")])) == []


def test_flat_pictures_are_not_compared(tmp_path):
    flat = [(np.full((32, 32, 3), value, dtype=np.uint8), "png") for value in (0, 1, 90)]
    assert near_pairs(facts_of(tmp_path, flat)) == []


def test_pictures_that_cannot_be_read_are_no_pair(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    assert near_pairs(look_at_pictures([tmp_path / "a.png", tmp_path / "b.png"])) == []
    assert near_pairs([]) == []


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
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 100)
    assert len(close_hashes([7] * 1000, 4)) == 100


def test_correlation_is_that_of_numpy_and_0_without_contrast():
    first, second = np.random.default_rng(1).random((2, 16, 16))
    assert abs(correlation(first, second) - np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 1e-12
    assert correlation(first, np.ones((16, 16))) == 0
