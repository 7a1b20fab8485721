from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.voc import (
    CLASSES,
    has_segments,
    is_voc,
    list_voc_set,
    read_segments,
    read_voc,
    read_voc_images,
)
from maskrcnn.errors import DataError
from tests.builders.exports import SHARED
from tests.builders.voc import write_image, write_segments, write_set, write_xml

DOG, CAT = ("dog", (1, 1, 10, 20), False), ("cat", (31, 11, 50, 30), False)


def lay_out(root: Path) -> None:
    """A training image with a dog and a difficult cat, and one of validation with a cat."""
    write_set(root, "Main", "train", ["000002"])
    write_set(root, "Main", "val", ["000001"])
    write_xml(root / "Annotations" / "000002.xml", DOG, (*CAT[:2], True))
    write_xml(root / "Annotations" / "000001.xml", CAT)
    for stem in ("000001", "000002"):
        write_image(root / "JPEGImages", stem)


@pytest.mark.parametrize("inside", [".", "VOC2012"])
def test_boxes_count_from_one_and_hold_their_last_pixel(tmp_path, inside):
    lay_out(tmp_path / inside)
    data = read_dataset(tmp_path, "train")
    record = data.records[0]
    assert record.path == tmp_path / inside / "JPEGImages" / "000002.jpg"
    assert record.size == (40, 60)
    assert record.instances.boxes.tolist() == [[0, 0, 10, 20], [30, 10, 50, 30]]
    assert [data.classes.names[label] for label in record.instances.labels] == ["dog", "cat"]
    assert data.classes.names == CLASSES
    assert len(read_dataset(tmp_path / inside / "Annotations" / "000002.xml").records[0].instances) == 2
    assert data.without_mask == 2
    assert (
        record.instances.crowd.tolist() == [found["difficult"] for found in data.coco["annotations"]] == [False, True]
    )


def test_label_maps_give_masks_without_their_border(tmp_path):
    lay_out(tmp_path)
    write_segments(tmp_path, "000002", (12, DOG[1]), (8, CAT[1]))
    data = read_dataset(tmp_path, "train")
    assert data.without_mask == 0
    x, y, bitmap = data.records[0].instances.masks.crop(1)
    assert (x, y, bitmap.shape, bitmap.all()) == (30, 10, (20, 20), True)
    assert read_voc(tmp_path, "train").coco["annotations"][0]["area"] == 200


def test_a_region_of_another_class_is_no_mask(tmp_path):
    lay_out(tmp_path)
    write_segments(tmp_path, "000002", (12, DOG[1]), (15, CAT[1]))
    assert read_dataset(tmp_path, "train").without_mask == 1
    assert [(one.value, one.name, one.region.area) for one in read_segments(tmp_path, "000002")] == [
        (1, "dog", 200),
        (2, "person", 400),
    ]
    assert has_segments(tmp_path, "000002")
    assert not has_segments(tmp_path, "000001")


def test_label_maps_of_other_classes_are_used_by_the_places_of_their_objects(tmp_path):
    lay_out(tmp_path)
    write_xml(tmp_path / "Annotations" / "000002.xml", ("owl", DOG[1], False), CAT)
    write_segments(tmp_path, "000002", (3, DOG[1]), (99, CAT[1]))
    assert read_dataset(tmp_path, "train").without_mask == 0


def test_label_maps_in_the_palettes_colors_are_understood(tmp_path):
    lay_out(tmp_path)
    write_segments(tmp_path, "000002", (12, DOG[1]), (8, CAT[1]))
    before = read_segments(tmp_path, "000002")
    colors = {0: (0, 0, 0), 255: (224, 224, 192), 1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 12: (64, 0, 128)}
    for folder in ("SegmentationObject", "SegmentationClass"):
        file = tmp_path / folder / "000002.png"
        places = np.array(Image.open(file))
        pixels = np.array([colors.get(place, (0, 0, 0)) for place in range(256)], dtype=np.uint8)[places]
        Image.fromarray(pixels).save(file)
    after = read_segments(tmp_path, "000002")
    assert [(one.value, one.name) for one in after] == [(1, "dog"), (2, "cat")]
    assert all((a.region.runs == b.region.runs).all() for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("name", ["coco_small/instances_val.json", "dsb2018/val.json"])
def test_real_boxes_there_and_back_are_equal(tmp_path, name):
    file = SHARED / name
    if not file.is_file():
        pytest.skip(f"needs shared/data/{name}")
    before = read_dataset(file)
    for record in before.records:
        objects = record.instances
        things = [
            (before.classes.names[label], (x1 + 1, y1 + 1, x2, y2), crowd)
            for (x1, y1, x2, y2), label, crowd in zip(
                objects.boxes.tolist(), objects.labels.tolist(), objects.crowd.tolist(), strict=True
            )
        ]
        write_xml(tmp_path / "val" / f"{record.path.stem}.xml", *things, size=False)
    after = {record.path.name: record for record in read_dataset(tmp_path, "val", images=before.images).records}
    names = read_dataset(tmp_path, "val", images=before.images).classes.names
    for record in before.records:
        found = after[record.path.name].instances
        assert torch.allclose(found.boxes, record.instances.boxes, atol=1e-4)
        assert found.crowd.equal(record.instances.crowd)
        labels = [before.classes.names[label] for label in record.instances.labels]
        assert [names[label] for label in found.labels] == labels


@pytest.mark.parametrize("inside", ["train", "train/annotations", "."])
def test_xml_files_beside_images_or_in_folders_of_their_own(tmp_path, inside):
    write_xml(tmp_path / inside / "a.xml", ("zebra", (1, 1, 10, 20), False), size=False)
    write_image(tmp_path / inside.replace("annotations", "images"), "a", ".png")
    data = read_dataset(tmp_path, "train")
    assert data.classes.names == ("zebra",)
    assert data.records[0].path.name == "a.png"
    assert data.records[0].size == (40, 60)
    assert recognize(tmp_path) == "voc"


def test_classes_are_those_of_all_splits(tmp_path):
    for split, name in (("train", "owl"), ("valid", "ape")):
        write_xml(tmp_path / split / "a.xml", (name, (1, 1, 10, 20), False))
        write_image(tmp_path / split, "a")
    assert (
        read_dataset(tmp_path, "train").classes.names == read_dataset(tmp_path, "val").classes.names == ("ape", "owl")
    )


def test_other_folders_and_files_are_not_taken_for_voc(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.xml").write_text("<annotations><image name='a'/></annotations>")
    assert not is_voc(tmp_path, "train")
    assert not is_voc(tmp_path / "train" / "a.xml", "train")


def test_objects_that_cannot_be_used_are_named(tmp_path):
    lay_out(tmp_path)
    odd = "<object><name>dog</name><bndbox><xmin>a</xmin></bndbox></object><object><name>dog</name></object>"
    write_xml(tmp_path / "Annotations" / "000002.xml", DOG, more=odd)
    with pytest.raises(DataError, match=r"000002.xml: object 2: `bndbox` has xmin 'a', ymin None"):
        read_dataset(tmp_path, "train")
    assert len(read_dataset(tmp_path, "train", skip_invalid=True).skipped) == 2
    write_xml(tmp_path / "Annotations" / "000002.xml", ("dog", (30, 1, 10, 20), False))
    with pytest.raises(DataError, match=r"000002.jpg\): box .* -19 px"):
        read_dataset(tmp_path, "train")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, "cannot be read"),
        ("<annotation><obj", "cannot be read"),
        ("<x/>", "holds <x>"),
        ("<annotation><size><width>many</width></size></annotation>", "`size` .*many"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, value):
    lay_out(tmp_path)
    (tmp_path / "Annotations" / "000002.xml").unlink()
    if text is not None:
        (tmp_path / "Annotations" / "000002.xml").write_text(text)
    with pytest.raises(DataError, match=rf"000002.xml: {value}"):
        read_voc(tmp_path, "train")


def test_a_challenge_has_its_classes_only(tmp_path):
    lay_out(tmp_path)
    write_xml(tmp_path / "Annotations" / "000001.xml", ("owl", (1, 1, 5, 5), False))
    assert "object 1: the class 'owl'" in read_voc_images(tmp_path, ["000001"]).skipped[0]
    assert list_voc_set(tmp_path, "Main", "val") == ["000001"]
    assert list_voc_set(tmp_path, "Main", "test") is None


def test_label_maps_that_contradict_each_other_are_errors(tmp_path):
    lay_out(tmp_path)
    write_segments(tmp_path, "000002", (21, DOG[1]))
    with pytest.raises(DataError, match=r"SegmentationClass.000002.png: object 1 .* 21, "):
        read_segments(tmp_path, "000002")
    write_image(tmp_path / "SegmentationClass", "000002", ".png")
    Image.new("L", (9, 9)).save(tmp_path / "SegmentationClass" / "000002.png")
    with pytest.raises(DataError, match=r"\[40, 60\].*SegmentationClass"):
        read_segments(tmp_path, "000002")


def test_names_of_a_list_may_hold_spaces_and_a_number_after_them(tmp_path):
    lay_out(tmp_path)
    write_xml(tmp_path / "Annotations" / "my dog 1.xml", DOG)
    write_set(tmp_path, "Main", "train", ["my dog 1", "000002 -1", "000001  1"])
    assert list_voc_set(tmp_path, "Main", "train") == ["000001", "000002", "my dog 1"]
