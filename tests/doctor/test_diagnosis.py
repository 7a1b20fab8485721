import json
from contextlib import contextmanager

import pytest

from maskrcnn.config import InputSettings, RunSettings
from maskrcnn.data.dataset import Dataset
from maskrcnn.data.shapes import write_shapes
from maskrcnn.doctor.diagnosis import diagnose, with_words
from tests.builders.made_set import MadeSet, named, names, noise


def listened():
    """The progress that is announced, and the `Announce` that collects it."""
    said = []

    @contextmanager
    def announce(words, images):
        done = []
        yield done.append
        said.append((words, images, sum(done)))

    return said, announce


def test_a_good_set_has_no_errors_and_every_image_is_counted(tmp_path):
    write_shapes(tmp_path, train=6, val=3, size=64, seed=0)
    said, announce = listened()
    found = diagnose(tmp_path, announce=announce)
    assert found.counts["error"] == 0
    assert said[1:] == [("reading images", 9, 9), ("measuring objects", 9, 9)]
    numbers = found.summary()["train"]
    assert numbers["images"] == 6
    assert sum(numbers["classes"].values()) == numbers["objects"] > 6
    assert found.seen is not None
    assert len(found.now.overlaps) == numbers["objects"]


def test_findings_of_all_checks_come_the_worst_first(tmp_path):
    made, val = MadeSet(tmp_path, 4), MadeSet(tmp_path, 3, split="val", seed=1)
    made.annotations[0]["bbox"] = [1, 2, 0, 4]  # invalid
    made.add_image(noise(3), "copy.png")  # of train_4
    val.add_image(noise(3), "leak.png")
    made.images[1]["width"] = 90
    for number in range(120):
        made.add_object(3, [number % 60, number // 4, 3, 2])
    made.add_object(4, [20, 16, 24, 20], label=2)
    made.write()
    val.write()
    found = diagnose(tmp_path)
    severities = [one.severity for one in found.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    expected = {"invalid-objects", "wrong-sizes", "leaked-images", "duplicate-images", "duplicate-objects"}
    assert expected | {"too-many-objects", "few-images", "empty-images"} <= set(names(found.findings))
    assert found.counts["error"] == 2


def test_all_advised_settings_are_settings(tmp_path):
    made = MadeSet(tmp_path, 0)
    for number in range(3):
        made.add_image(noise(number, (480, 640), brightest=30))
    for number in range(140):
        made.add_object(1, [number % 80, number // 4, 3 + number % 3, 2])
    made.add_object(2, [22, 17, 24, 20])
    made.add_object(2, [22, 18, 24, 20])
    for one in made.annotations:
        del one["segmentation"]
    for category in made.categories:
        category["keypoints"] = ["left_eye"]
    made.write()
    found = diagnose(tmp_path)
    keys = {words.partition("=")[0] for words in found.words}
    assert {"box_head.detections_per_image", "anchors.sizes", "mask_head", "augment.horizontal_flip"} <= keys
    assert {"input.stretch", "backbone.frozen_stages", "input.min_size"} <= keys
    assert "box_head.nms_threshold" in keys
    changed = RunSettings().changed(found.words)
    assert changed.model.mask_head is None
    assert len(changed.model.anchors.sizes) == 5


def test_anchors_are_advised_for_the_advised_input(tmp_path):
    made = MadeSet(tmp_path, 0)
    for number in range(24):
        made.add_image(noise(number, (256, 256) if number % 2 else (64, 64)))
        for place in range(5):
            made.add_object(number + 1, [8 * place, 8, 10 + number % 5, 12], label=1 + number % 2)
    made.write()
    found = diagnose(tmp_path)
    assert found.input_advised.scale_factor == 1.5
    assert found.advised.lengths.max() < 30
    assert "at the input advised above" in named(found.findings, "anchors").what


@pytest.mark.parametrize("broken", ["no objects", "no file"])
def test_a_set_without_anything_to_train_on_is_an_error_and_no_crash(tmp_path, broken):
    made = MadeSet(tmp_path, 2)
    made.annotations = []
    made.write()
    if broken == "no file":
        (tmp_path / "train.json").write_text("{")
    found = diagnose(tmp_path)
    assert found.counts["error"] == 1
    assert found.seen is None
    assert found.words == [] or broken == "no objects"


def test_it_is_written_as_json(tmp_path):
    write_shapes(tmp_path, train=4, val=2, size=48, seed=0)
    found = diagnose(tmp_path)
    written = json.loads(json.dumps(found.as_json()))
    assert written["counts"] == found.counts
    assert {"severity", "name", "what", "advice", "count", "examples", "settings"} <= written["findings"][0].keys()
    assert set(written["splits"]) == {"train", "val"}
    assert 0 <= written["anchors"]["now"]["iou_0.5"] <= 1


def test_a_data_set_in_memory_is_looked_at_like_one_on_disk(tmp_path):
    images = [noise(number) for number in (1, 2, 3, 1)]
    box = {"category": "cat", "bbox": [20, 16, 24, 20]}
    data = Dataset.from_samples([(image, [box]) for image in images], ["cat", "dog"], source="drawn")
    found = diagnose(data, val=Dataset.from_samples([(noise(2), [box])], ["cat", "dog"]))
    assert found.source == "drawn"
    assert {name: one["images"] for name, one in found.summary().items()} == {"train": 4, "val": 1}
    assert {"leaked-images", "duplicate-images", "missing-masks", "unused-classes"} <= set(names(found.findings))
    found.write_page(tmp_path / "page.html")
    assert "<h1>drawn</h1>" in (tmp_path / "page.html").read_text()


def test_words_change_the_input():
    changed = with_words(InputSettings(), ("input.scale_factor=2.5", "input.max_size=2000"))
    assert (changed.scale_factor, changed.max_size, changed.min_size) == (2.5, 2000, 800)
    assert with_words(InputSettings(), ()) == InputSettings()
