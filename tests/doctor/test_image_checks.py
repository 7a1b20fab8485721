import numpy as np
import pytest
from PIL import Image

from maskrcnn.doctor.image_checks import find_in_images, find_leaks
from maskrcnn.doctor.images import look_at_image, look_at_images
from tests.builders.made_set import MadeSet, named, names, noise


def findings_of(made):
    records = made.split().data.records
    return find_in_images("train", records, look_at_images(records, workers=1))


def test_good_images_gray_ones_alone_and_none_have_no_findings(tmp_path):
    assert findings_of(MadeSet(tmp_path)) == findings_of(MadeSet(tmp_path, 0)) == []
    made = MadeSet(tmp_path, 0)
    made.add_image(noise(1)[..., 0])
    assert findings_of(made) == []


def test_an_image_that_is_cut_off_is_an_error(tmp_path):
    made = MadeSet(tmp_path, 3)
    path = made.add_image(noise(9), "cut.jpg")
    path.write_bytes(path.read_bytes()[:-300])
    found = named(findings_of(made), "unreadable-images")
    assert found.severity == "error"
    assert found.what.startswith("train: 1 of 4 (25 %) image files")
    assert "cut.jpg" in found.examples[0].words


def test_an_image_of_another_size_than_its_record_is_an_error(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.images[0]["width"] = 100
    found = named(findings_of(made), "wrong-sizes")
    assert found.severity == "error"
    assert found.what.startswith("train: 1 of 2 (50 %) images")
    assert found.examples[0].words == "train_1.png: file 96 x 64, record 100 x 64"
    made.images[0].update(width=64, height=96)
    made.annotations = []
    assert "EXIF" not in named(findings_of(made), "wrong-sizes").what


def test_an_exif_orientation_that_the_annotations_ignore_is_named(tmp_path):
    made = MadeSet(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    made.add_image(noise(5), "phone.jpg", exif=exif)
    found = named(findings_of(made), "wrong-sizes")
    assert "1 of them has an EXIF orientation" in found.what
    assert "exiftool" in found.advice
    assert found.examples[0].words == "phone.jpg: file 64 x 96 (EXIF orientation 6), record 96 x 64"


@pytest.mark.parametrize(
    ("mode", "file", "name"),
    [
        ("RGBA", "a.png", "clear-images"),
        ("CMYK", "a.jpg", "cmyk-images"),
        ("I;16", "a.png", "deep-images"),
        ("L", "a.png", "gray-images"),
    ],
)
def test_unusual_kinds_of_images_are_noted(tmp_path, mode, file, name):
    made = MadeSet(tmp_path, 2)
    path = made.add_image(noise(7), file)
    deep = Image.fromarray(noise(7)[..., 0].astype(np.uint16) * 256)
    (deep if mode == "I;16" else Image.fromarray(noise(7)).convert(mode)).save(path)
    found = named(findings_of(made), name)
    assert found.severity == "note"
    assert "1 of 3 (33 %) images" in found.what


def test_deep_images_get_one_range_and_their_missing_values_are_noted(tmp_path):
    made = MadeSet(tmp_path, 1)
    for name, top in (("a.tif", 900), ("b.tif", 3000)):
        values = noise(7)[..., 0].astype(np.float32)
        values[0, :3] = top, np.nan, -9999
        Image.fromarray(values).save(made.add_image(noise(7), name))
    found = named(findings_of(made), "deep-images")
    assert found.settings == ("input.range=0,4095",)
    assert "3000" in found.what
    assert named(findings_of(made), "missing-values").count == 2


def test_a_deep_image_is_as_dark_as_it_is_in_the_range_of_all(tmp_path):
    made = MadeSet(tmp_path, 0)
    for name, top in (("a.png", 200), ("b.png", 250), ("c.png", 65535)):
        values = np.linspace(0, top, 64 * 96).reshape(64, 96).astype(np.uint16)
        Image.fromarray(values).save(made.add_image(noise(7), name))
    assert named(findings_of(made), "dark-images").count == 2


def test_pages_behind_the_first_are_noted(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_image(noise(8), "a.tif", save_all=True, append_images=[Image.fromarray(noise(9))])
    assert named(findings_of(made), "many-pages").count == 1


def test_blank_images_are_a_warning(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_image(np.full((64, 96, 3), 255, dtype=np.uint8))
    found = named(findings_of(made), "flat-images")
    assert (found.severity, found.count) == ("warning", 1)
    assert found.examples[0].words == "train_3.png (RGB)"


def test_dark_images_are_stretched(tmp_path):
    made = MadeSet(tmp_path, 1)
    for number in range(3):
        made.add_image(noise(number, brightest=30))
    found = named(findings_of(made), "dark-images")
    assert found.what.startswith("train: 3 of 4 (75 %) images")
    assert found.settings == ("input.stretch=0.1,99.9",)


def test_very_different_sizes_are_noted(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_image(noise(1, (256, 300)))
    found = named(findings_of(made), "many-sizes")
    assert "96 x 64 (2)" in found.what
    assert "input.scale_factor" in found.advice


def facts_of(folder, images):
    """(split, file name, image) to what `find_leaks` takes."""
    facts = []
    for split, name, image in images:
        path = folder / split / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
        facts.append((split, look_at_image(path)))
    return facts


def test_different_images_are_no_leak(tmp_path):
    images = [("train", f"{n}.png", noise(n)) for n in range(5)] + [("val", f"{n}.png", noise(n + 50)) for n in (1, 2)]
    assert find_leaks(facts_of(tmp_path, images)) == []
    assert find_leaks([]) == []


def test_the_same_file_in_two_splits_is_a_leak(tmp_path):
    images = [("train", "a.png", noise(1)), ("train", "b.png", noise(2)), ("val", "c.png", noise(1))]
    (found,) = find_leaks(facts_of(tmp_path, images))
    assert (found.name, found.severity, found.count) == ("leaked-images", "warning", 1)
    assert "(train, val)" in found.what
    assert found.examples[0].words == "train a.png = val c.png"


def test_a_recoded_copy_in_another_split_is_a_leak_by_its_looks(tmp_path):
    brighter = np.clip(noise(1).astype(int) * 1.1, 0, 255).astype(np.uint8)
    images = [("train", "a.png", noise(1)), ("val", "c.jpg", noise(1)), ("val", "d.png", brighter)]
    findings = find_leaks(facts_of(tmp_path, images))
    found = named(findings, "nearly-leaked-images")
    assert found.count == 2
    assert named(findings, "near-duplicate-images").count == 1


def test_copies_within_a_split_are_noted(tmp_path):
    images = [("train", "a.png", noise(1)), ("train", "b.png", noise(1)), ("val", "c.png", noise(3))]
    findings = find_leaks(facts_of(tmp_path, images))
    assert names(findings) == ["duplicate-images"]
    assert (findings[0].severity, findings[0].count) == ("note", 1)
