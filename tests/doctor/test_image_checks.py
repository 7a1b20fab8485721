import numpy as np
import pytest
from PIL import Image

from maskrcnn.doctor.image_checks import find_in_pictures, find_leaks
from maskrcnn.doctor.images import look_at_picture, look_at_pictures
from tests.builders.made_set import MadeSet, named, names, noise


def findings_of(made):
    records = made.split().data.records
    return find_in_pictures("train", records, look_at_pictures(records, workers=1))


def test_sound_pictures_have_no_findings(tmp_path):
    assert findings_of(MadeSet(tmp_path)) == []


def test_a_picture_that_is_cut_off_is_an_error(tmp_path):
    made = MadeSet(tmp_path, 3)
    path = made.add_picture(noise(9), "cut.jpg")
    path.write_bytes(path.read_bytes()[:-300])
    found = named(findings_of(made), "unreadable-pictures")
    assert found.severity == "error"
    assert found.what.startswith("train: 1 of 4 (25 %) picture files cannot be read")
    assert "cut.jpg" in found.examples[0].words


def test_a_picture_of_another_size_than_its_record_is_an_error(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.images[0]["width"] = 100
    found = named(findings_of(made), "wrong-sizes")
    assert found.severity == "error"
    assert found.what == "train: 1 of 2 (50 %) pictures are of another size than their record says."
    assert found.examples[0].words == "train_1.png: file 96 x 64, record 100 x 64"


def test_swapped_sides_without_an_exif_orientation_are_not_blamed_on_it(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.images[0].update(width=64, height=96)
    made.annotations = []
    assert "EXIF" not in named(findings_of(made), "wrong-sizes").what


def test_an_exif_orientation_that_the_annotations_ignore_is_named(tmp_path):
    made = MadeSet(tmp_path, 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    made.add_picture(noise(5), "phone.jpg", exif=exif)
    found = named(findings_of(made), "wrong-sizes")
    assert "1 of them has an EXIF orientation that the annotations ignore" in found.what
    assert "exiftool" in found.advice
    assert found.examples[0].words == "phone.jpg: file 64 x 96 (EXIF orientation 6), record 96 x 64"


@pytest.mark.parametrize(
    ("mode", "file", "name", "words"),
    [
        ("RGBA", "a.png", "clear-pictures", "1 of 3 (33 %) pictures have an alpha channel"),
        ("CMYK", "a.jpg", "cmyk-pictures", "1 of 3 (33 %) pictures are CMYK"),
        ("I;16", "a.png", "deep-pictures", "1 of 3 (33 %) pictures have more than 8 bits"),
        ("L", "a.png", "grey-pictures", "1 of 3 (33 %) pictures are grey, the others coloured"),
    ],
)
def test_unusual_kinds_of_pictures_are_noted(tmp_path, mode, file, name, words):
    made = MadeSet(tmp_path, 2)
    path = made.add_picture(noise(7), file)
    deep = Image.fromarray(noise(7)[..., 0].astype(np.uint16) * 256)
    (deep if mode == "I;16" else Image.fromarray(noise(7)).convert(mode)).save(path)
    found = named(findings_of(made), name)
    assert found.severity == "note"
    assert words in found.what


def test_a_set_of_grey_pictures_only_is_nothing_special(tmp_path):
    made = MadeSet(tmp_path, 0)
    made.add_picture(noise(1)[..., 0])
    assert findings_of(made) == []


def test_pages_behind_the_first_are_noted(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_picture(noise(8), "a.tif", save_all=True, append_images=[Image.fromarray(noise(9))])
    assert "only the first page is read" in named(findings_of(made), "many-pages").advice.lower()


def test_blank_pictures_are_a_warning(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_picture(np.full((64, 96, 3), 255, dtype=np.uint8))
    found = named(findings_of(made), "flat-pictures")
    assert (found.severity, found.count) == ("warning", 1)
    assert found.examples[0].words == "train_3.png"


def test_dark_pictures_are_stretched(tmp_path):
    made = MadeSet(tmp_path, 1)
    for number in range(3):
        made.add_picture(noise(number, brightest=30))
    found = named(findings_of(made), "dark-pictures")
    assert found.what.startswith("train: 3 of 4 (75 %) pictures are dark")
    assert found.settings == ("model.input.stretch=0.1,99.9",)


def test_very_different_sizes_are_noted(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.add_picture(noise(1, (256, 300)))
    found = named(findings_of(made), "many-sizes")
    assert "96 x 64 (2)" in found.what
    assert "model.input.magnify" in found.advice


def test_a_split_without_pictures_has_no_findings(tmp_path):
    assert names(findings_of(MadeSet(tmp_path, 0))) == []


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
