import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from maskrcnn.data.dataset import Dataset
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.readers.coco_records import is_id, is_number, read_keypoint_schema, read_keypoints
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import COCO_PERSON, keypoint_schema_of

SHARED = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[3] / "../shared"))
CAT = {"id": 3, "name": "cat"}
DOG = {"id": 7, "name": "dog"}
IMAGE = {"id": 1, "file_name": "cat.jpg", "width": 60, "height": 50}
TRIANGLE = [10, 10, 30, 10, 10, 40]


def annotation(**changes) -> dict:
    one = {
        "id": 17,
        "image_id": 1,
        "category_id": 3,
        "bbox": [10, 10, 20, 30],
        "segmentation": [TRIANGLE],
        "iscrowd": 0,
    }
    return {key: value for key, value in (one | changes).items() if value != "left out"}


def read(folder: Path, *annotations: dict, skip_invalid: bool = False, **changes) -> Dataset:
    """Write a dataset of one image and read it."""
    Image.new("RGB", (60, 50)).save(folder / "cat.jpg")
    contents = {"images": [IMAGE], "categories": [DOG, CAT], "annotations": list(annotations)} | changes
    contents = {key: value for key, value in contents.items() if value != "left out"}
    (folder / "train.json").write_text(json.dumps(contents))
    return read_coco(folder / "train.json", folder, skip_invalid=skip_invalid)


def test_an_object_becomes_a_box_a_label_and_a_mask(tmp_path: Path):
    data = read(tmp_path, annotation(category_id=7), annotation(id=18, iscrowd=1))
    (record,) = data.records
    assert (record.path, record.image_id, record.size) == (tmp_path / "cat.jpg", 1, (50, 60))
    assert record.instances.boxes.tolist() == [[10, 10, 30, 40]] * 2
    assert record.instances.labels.tolist() == [1, 0]
    assert record.instances.crowd.tolist() == [False, True]
    assert record.instances.masks.crop(0).bitmap.shape == (29, 20)
    assert (data.skipped, data.without_mask) == ([], 0)


def test_objects_know_their_classes_so_that_names_filter_and_draw_them(tmp_path: Path):
    (record,) = read(tmp_path, annotation(category_id=7), annotation(id=18))
    (cat,) = record.instances.filter(labels=["cat"])
    assert "1 cat" in repr(cat)
    assert record.instances.plot(record.path).size == (60, 50)


def test_gaps_in_the_category_ids_close_and_the_ids_are_kept(tmp_path: Path):
    classes = read(tmp_path).classes
    assert (classes.names, classes.category_ids) == (("cat", "dog"), (3, 7))


def test_other_fields_of_an_image_are_kept(tmp_path: Path):
    data = read(tmp_path, images=[IMAGE | {"modality": "fluorescence"}])
    assert data.records[0].fields == {"modality": "fluorescence"}


def test_the_box_of_several_polygons_surrounds_all_of_them(tmp_path: Path):
    one = annotation(bbox=None, segmentation=[TRIANGLE, [1, 2, 3, 4, 5, 6]])
    assert read(tmp_path, one).records[0].instances.boxes.tolist() == [[1, 2, 30, 40]]


@pytest.mark.parametrize("missing", ["area", "iscrowd", "id", "bbox"])
def test_a_field_that_may_be_missing_changes_nothing(tmp_path: Path, missing: str):
    record = read(tmp_path, annotation(**{missing: "left out"})).records[0]
    assert record.instances.boxes.tolist() == [[10, 10, 30, 40]]
    assert record.instances.crowd.tolist() == [False]


@pytest.mark.parametrize("segmentation", ["left out", None, []])
def test_a_box_stands_in_for_a_missing_mask(tmp_path: Path, segmentation):
    data = read(tmp_path, annotation(segmentation=segmentation))
    x, y, bitmap = data.records[0].instances.masks.crop(0)
    assert (x, y, bitmap.shape, int(bitmap.sum()), data.without_mask) == (10, 10, (30, 20), 600, 1)


def test_the_size_of_the_image_is_read_where_the_record_has_none(tmp_path: Path):
    assert read(tmp_path, images=[{"id": 1, "file_name": "cat.jpg"}]).records[0].size == (50, 60)


def test_images_without_objects_are_records_too(tmp_path: Path):
    for data in (read(tmp_path), read(tmp_path, annotations="left out")):
        instances = data.records[0].instances
        assert instances.boxes.shape == (0, 4)
        assert len(instances) == len(instances.labels) == len(instances.crowd) == len(instances.masks) == 0


def test_both_kinds_of_rle_give_the_same_mask(tmp_path: Path):
    plain = {"size": [50, 60], "counts": [50 * 2 + 3, 4, 46, 4, 2843]}
    text = {"size": [50, 60], "counts": "W34^10]g2"}
    for kind in (plain, text):
        masks = read(tmp_path, annotation(segmentation=kind, bbox="left out")).records[0].instances
        assert masks.boxes.tolist() == [[2, 3, 4, 7]]
        assert masks.masks.crop(0).bitmap.shape == (4, 2)


def test_a_box_that_reaches_over_the_edge_is_cut_at_it(tmp_path: Path):
    boxes = read(tmp_path, annotation(bbox=[-0.5, 40, 20, 10.3])).records[0].instances.boxes
    assert boxes.tolist() == [[0, 40, 19.5, 50]]


OUTLINES = [
    ([[1, 1, 2, 2]], "4 numbers"),
    ([[1, 1, 2, 2, 3, 3, 4]], "7 numbers"),
    ([1, 1, 2, 2, 3, 3], "list of polygons"),
    ([[1, 1, 2, 2, 3, float("nan")]], "nan"),
    ([[1, 1, 2, 2, 3, None]], "nan"),
    ([[1, 1, 2, 2, 3, "x"]], "not a number"),
    ([[1, 1, 2, 2, 1e9, 3]], r"1e\+09"),
    ("polygon", "str"),
    ({"size": [60, 50], "counts": [3000]}, r"\[60, 50\].* \[50, 60\]"),
    ({"size": [50, 60], "counts": [1, 2]}, "3 pixels.* 50 x 60"),
    ({"size": [50, 60], "counts": [3002, -2]}, r"\(-2\)"),
    ({"size": [50, 60], "counts": [3000]}, "no pixel"),
    ({"size": [50, 60], "counts": "W34^10]g"}, "cut off"),
    ({"size": [50, 60], "counts": "W34"}, "add up to"),
    ({"size": [50, 60], "counts": "é"}, "ascii"),
    ({"size": [50, 60]}, "`counts`"),
    ({"size": [50, 60], "counts": [1.5]}, "`counts`"),
    ({"size": [50, 60], "counts": [10**30]}, "longer than any image"),
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [40, 30, 0, 12]}, r"box \[40, 30, 0, 12\] is 0 px wide"),
        ({"bbox": [40, 30, 5, -2]}, r"box \[40, 30, 5, -2\] is -2 px high"),
        ({"bbox": [60, 30, 5, 5]}, "box x 60..65, y 30..35 .*60 px wide and 50 px high"),
        ({"bbox": [float("nan"), 3, 5, 5]}, r"box \[nan, 3, 5, 5\]"),
        ({"bbox": [3, 3, float("inf"), 5]}, r"box \[3, 3, inf, 5\]"),
        ({"bbox": [3, 3, 5]}, r"box \[3, 3, 5\]"),
        ({"bbox": ["3", 3, 5, 5]}, r"box \['3', 3, 5, 5\]"),
        ({"bbox": [True, 3, 5, 5]}, r"box \[True, 3, 5, 5\]"),
        ({"bbox": None, "segmentation": None}, "`bbox` nor `segmentation`"),
        ({"category_id": 6}, r"`category_id` is 6.*\(nearest: 7\)"),
        ({"category_id": None}, "`category_id` is None"),
        ({"category_id": "cat"}, "`category_id` is 'cat'"),
        ({"iscrowd": 2}, "`iscrowd` is 2"),
        *(({"segmentation": outline}, rf".*`segmentation`.*{message}") for outline, message in OUTLINES),
    ],
)
def test_an_object_that_cannot_be_used_is_an_error_or_is_left_out(tmp_path: Path, changes: dict, message: str):
    with pytest.raises(DataError, match=rf"train.json: annotation 17 \(cat.jpg\): .*{message}.*--skip-invalid"):
        read(tmp_path, annotation(**changes), annotation(id=18))
    data = read(tmp_path, annotation(**changes), annotation(id=18), skip_invalid=True)
    assert len(data.records[0].instances) == 1
    assert [line.partition(": ")[2][:23] for line in data.skipped] == ["annotation 17 (cat.jpg)"]


def test_an_annotation_of_a_missing_image_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="train.json: annotation 17: `image_id` is 9"):
        read(tmp_path, annotation(image_id=9))


def test_annotations_whose_ids_repeat_are_all_read(tmp_path: Path):
    data = read(tmp_path, annotation(), annotation(bbox=[1, 2, 3, 4]))
    assert (len(data.records[0].instances), len(data.to_coco()["annotations"]), data.skipped) == (2, 2, [])


def test_ids_crowds_and_polygons_in_odd_forms_are_read(tmp_path: Path):
    odd = annotation(image_id="1", category_id=3.0, iscrowd="false", segmentation=[[[10, 10], [30, 10], [10, 40]]])
    plain = read(tmp_path, annotation())
    images, categories = [IMAGE | {"id": 1.0}], [DOG | {"id": "7"}, CAT]
    for skip_invalid in (False, True):
        data = read(tmp_path, odd, images=images, categories=categories, skip_invalid=skip_invalid)
        assert (data.classes, data.skipped) == (plain.classes, [])
        assert data.to_coco() == plain.to_coco()


@pytest.mark.parametrize("name", ["CAT.JPG", "Sub\\cat.jpg", "sub/CAT.jpg", "sub\\cat.jpg"])
def test_an_image_is_found_by_another_case_and_windows_separators(tmp_path: Path, name: str):
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (60, 50)).save(tmp_path / "sub" / "cat.jpg")
    (record,) = read(tmp_path, images=[IMAGE | {"file_name": name}]).records
    assert record.path == tmp_path / ("cat.jpg" if name == "CAT.JPG" else "sub/cat.jpg")


def test_two_images_that_differ_in_case_are_not_taken_for_each_other(tmp_path: Path):
    for name in ("Cat.jpg", "cAT.jpg"):
        Image.new("RGB", (60, 50)).save(tmp_path / name)
    with pytest.raises(DataError, match="CAT.JPG"):
        read(tmp_path, images=[IMAGE | {"file_name": "CAT.JPG"}])


def test_an_annotation_without_an_id_is_named_by_its_place(tmp_path: Path):
    with pytest.raises(DataError, match=r"place 1.*\(cat.jpg\): "):
        read(tmp_path, annotation(), annotation(id=None, bbox=[0, 0, 0, 0]))


def test_further_errors_are_counted(tmp_path: Path):
    for count, words in ((2, "1 more object "), (3, "2 more objects ")):
        with pytest.raises(DataError, match=words):
            read(tmp_path, *(annotation(id=i, bbox=[0, 0, 0, 0]) for i in range(count)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "left out"}, "`images`"),
        ({"categories": "left out"}, "`categories`"),
        ({"categories": {}}, "`categories`"),
        ({"annotations": [1]}, "`annotations`"),
        ({"categories": []}, "`categories`"),
        ({"categories": [CAT, CAT]}, "category 'cat': `id` 3"),
        ({"categories": [{"id": [3], "name": "cat"}]}, r"category 'cat': `id` \[3\]"),
        ({"images": [IMAGE, IMAGE]}, r"image id 1 .*\(cat.jpg and cat.jpg\)"),
        ({"images": [IMAGE | {"id": "a1"}]}, r"image 'a1' \('cat.jpg'\): `id`"),
        ({"images": [{"id": 1}]}, "`file_name`"),
        ({"images": [IMAGE | {"width": -60}]}, r"image 1 \(cat.jpg\): -60 x 50"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_even_if_objects_may_be_skipped(
    tmp_path: Path, changes: dict, message: str
):
    with pytest.raises(DataError, match=rf"train.json: .*{message}"):
        read(tmp_path, skip_invalid=True, **changes)


def test_missing_images_are_counted_and_the_first_named(tmp_path: Path):
    images = [IMAGE] + [IMAGE | {"id": i, "file_name": f"sub/{i}.jpg"} for i in range(2, 9)]
    with pytest.raises(DataError, match=r"train.json: 7 of its 8 .*2.jpg.*6.jpg, \.\.\."):
        read(tmp_path, images=images)


def test_a_cut_off_file_is_named_with_the_place(tmp_path: Path):
    (tmp_path / "train.json").write_text('{"images": [\n {"id": 1, "file_na')
    with pytest.raises(DataError, match=r"train.json: .*line 2, column 12"):
        read_coco(tmp_path / "train.json", tmp_path)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "line 1, column 1"),
        (b"[]", "list"),
        (b"\xff\xfe\x00", "text"),
        (b"[" * 100_000, "nested"),
        (b'{"images": [' + b"1" * 5000 + b"]}", "digits"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, contents: bytes, message: str):
    (tmp_path / "train.json").write_bytes(contents)
    with pytest.raises(DataError, match=rf"train.json: .*{message}"):
        read_coco(tmp_path / "train.json", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone.json"):
        read_coco(tmp_path / "gone.json", tmp_path)


@pytest.mark.parametrize("name", ["coco_small/instances_val.json", "dsb2018/val.json"])
def test_real_data_is_read_as_pycocotools_reads_it(name: str, capsys: pytest.CaptureFixture[str]):
    file = SHARED / "data" / name
    if not file.exists():
        pytest.skip(f"needs shared/data/{name}")
    peer = COCO(str(file))
    data = read_coco(file, file.parent / "images")
    assert data.classes.category_ids == tuple(sorted(peer.cats))
    assert sum(len(record.instances) for record in data.records) == len(peer.anns)
    for record in data.records:
        annotations = peer.imgToAnns[record.image_id]
        labels = [data.classes.category_ids[label] for label in record.instances.labels]
        assert labels == [one["category_id"] for one in annotations]
        assert record.instances.crowd.tolist() == [bool(one["iscrowd"]) for one in annotations]
        for i, one in enumerate(annotations[:5]):
            x, y, width, height = one["bbox"]
            assert np.allclose(record.instances.boxes[i], [x, y, x + width, y + height], atol=1e-2)
            assert (record.instances.masks.bitmap(i) == peer.annToMask(one)).all()


def test_numbers_of_json():
    assert [is_number(value) for value in (1, 1.5, True, "1", None, math.nan, math.inf)] == [True, True] + [False] * 5
    assert [is_id(value) for value in (1, 1.0, True, "1", None)] == [True] + [False] * 4


OWL = {"id": 1, "name": "owl", "keypoints": ["left_eye", "right_eye", "beak"], "skeleton": [[1, 2], [2, 3]]}
SKELETON = keypoint_schema_of(OWL)


def test_a_keypoint_in_the_first_pixel_is_in_its_middle_and_one_that_is_not_annotated_is_nowhere():
    points = read_keypoints({"keypoints": [0, 9, 2, 3, 4, 0, 7.5, 1, 1]}, SKELETON)
    assert points.tolist() == [[0.5, 9.5, 2], [0, 0, 0], [8, 1.5, 1]]


@pytest.mark.parametrize("annotation", [{}, {"keypoints": None}, {"keypoints": []}])
def test_an_object_may_have_no_keypoints(annotation):
    assert not read_keypoints(annotation, SKELETON).any()


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([1, 2, 2], "`keypoints` has 3 numbers.* 9"),
        ("nose", "`keypoints`"),
        ([1, 2, "a"] * 3, "not a number"),
        ([1, 2, float("nan")] * 3, "visibility of 0, 1 or 2"),
        ([1, 2, 3] * 3, "visibility of 0, 1 or 2"),
    ],
)
def test_keypoints_that_break_a_rule_are_described(keypoints, message):
    with pytest.raises(ValueError, match=message):
        read_keypoints({"keypoints": keypoints}, SKELETON)


def test_categories_without_keypoints_may_be_among_others():
    assert read_keypoint_schema(Path("a.json"), [{"id": 2, "name": "mouse"}, OWL]) == SKELETON
    assert read_keypoint_schema(Path("a.json"), [{"id": 2, "name": "mouse"}]) is None


def test_a_file_has_one_set_of_keypoints():
    person = {"id": 2, "name": "person"} | COCO_PERSON.described()
    with pytest.raises(DataError, match=r"a.json: .*owl, person.*keypoints"):
        read_keypoint_schema(Path("a.json"), [OWL, person])
    with pytest.raises(DataError, match=r"a.json: category 'owl': sigmas are \[1\.0\]"):
        read_keypoint_schema(Path("a.json"), [OWL | {"sigmas": [1.0]}])


def test_objects_of_a_file_have_their_keypoints_and_its_classes_their_skeleton(tmp_path: Path):
    found = annotation(category_id=1, keypoints=[3, 4, 2, 5, 6, 1, 0, 0, 0])
    data = read(tmp_path, found, found | {"id": 2, "keypoints": []}, categories=[OWL])
    assert data.classes.keypoint_schema == SKELETON
    assert data.records[0].instances.keypoints.tolist() == [[[3.5, 4.5, 2], [5.5, 6.5, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
    assert read(tmp_path, categories=[OWL]).records[0].instances.keypoints.shape == (0, 3, 3)
    with pytest.raises(DataError, match=r"train.json: annotation 17 \(cat.jpg\): `keypoints` has 2"):
        read(tmp_path, found | {"keypoints": [3, 4]}, categories=[OWL])


def test_keypoints_without_names_are_numbered_and_written_so(tmp_path: Path):
    data = read(tmp_path, annotation(keypoints=[3, 4, 2, 5, 6, 1]))
    assert data.classes.keypoint_schema.names == ("1", "2")
    assert data.records[0].instances.keypoints.tolist() == [[[3.5, 4.5, 2], [5.5, 6.5, 1]]]
    assert {"id": 3, "name": "cat", "keypoints": ["1", "2"]} in data.to_coco()["categories"]
