import numpy as np
from PIL import Image

from maskrcnn.data.health.leak_findings import find_leaks
from maskrcnn.data.health.pictures import look_at_picture
from tests.data.health.made import named, names, noise


def facts_of(folder, pictures):
    """(split, file name, picture) to what `find_leaks` takes."""
    facts = []
    for split, name, picture in pictures:
        path = folder / split / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        facts.append((split, look_at_picture(path)))
    return facts


def test_different_pictures_are_no_leak(tmp_path):
    pictures = [("train", f"{n}.png", noise(n)) for n in range(5)] + [
        ("val", f"{n}.png", noise(n + 50)) for n in (1, 2)
    ]
    assert find_leaks(facts_of(tmp_path, pictures)) == []
    assert find_leaks([]) == []


def test_the_same_file_in_two_splits_is_a_leak(tmp_path):
    pictures = [("train", "a.png", noise(1)), ("train", "b.png", noise(2)), ("val", "c.png", noise(1))]
    (found,) = find_leaks(facts_of(tmp_path, pictures))
    assert (found.name, found.severity, found.count) == ("leaked-pictures", "warning", 1)
    assert found.what == "1 pair of pictures of different splits (train, val) are the same file, byte for byte."
    assert found.examples[0].words == "train a.png = val c.png"
    assert "Take these pictures out of one of the splits" in found.advice


def test_a_recoded_copy_in_another_split_is_a_leak_by_its_looks(tmp_path):
    brighter = np.clip(noise(1).astype(int) * 1.1, 0, 255).astype(np.uint8)
    pictures = [("train", "a.png", noise(1)), ("val", "c.jpg", noise(1)), ("val", "d.png", brighter)]
    findings = find_leaks(facts_of(tmp_path, pictures))
    found = named(findings, "nearly-leaked-pictures")
    assert found.count == 2
    assert "at most 4 of 64 bits apart" in found.what
    assert named(findings, "near-duplicate-pictures").count == 1


def test_copies_within_a_split_are_noted(tmp_path):
    pictures = [("train", "a.png", noise(1)), ("train", "b.png", noise(1)), ("val", "c.png", noise(3))]
    findings = find_leaks(facts_of(tmp_path, pictures))
    assert names(findings) == ["duplicate-pictures"]
    assert findings[0].severity == "note"
    assert findings[0].what == "1 pair of pictures of one split have the same bytes."
