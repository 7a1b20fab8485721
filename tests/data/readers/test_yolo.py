import pytest
import yaml
from PIL import Image

from maskrcnn.data.formats import has_split, read_dataset, recognize
from maskrcnn.data.readers.yolo import KeypointShape, is_yolo, label_object, read_yolo
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import COCO_PERSON
from tests.builders.refusals import assert_refused_or_left_out

BOX = "0 0.5 0.5 0.5 0.25"
POLYGON = "1 0.1 0.2 0.4 0.2 0.4 0.8"
FLIPS = ([1, 0], [1, 0, 3], [0, 0, 2], "1 0 2")


def lay_out(folder, *labels, split="train", **known):
    """Images of 100 x 40 pixels, one per label file; None: it has none."""
    for number, label in enumerate(labels):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        Image.new("L", (100, 40)).save(folder / "images" / split / f"{number}.png")
        if label is not None:
            (folder / "labels" / split / f"{number}.txt").write_text(label)
    described = {"train": "images/train", "val": "images/val", "names": ["cat", "dog"], **known}
    (folder / "data.yaml").write_text(yaml.safe_dump({key: value for key, value in described.items() if value}))
    return folder


def objects(folder, split="train", **options):
    return read_yolo(folder, split, **options).coco["annotations"]


def test_boxes_and_polygons_are_shares_of_width_and_height(tmp_path):
    first, second = objects(lay_out(tmp_path, f"{BOX}\n\n{POLYGON}\n"))
    assert (first["category_id"], first["bbox"]) == (1, [25, 15, 50, 10])
    assert (second["category_id"], second["segmentation"]) == (2, [[10, 8, 40, 8, 40, 32]])


def test_a_label_file_belongs_to_one_of_two_images_of_the_same_name(tmp_path):
    folder = lay_out(tmp_path, BOX, BOX)
    Image.new("L", (100, 40)).save(folder / "images" / "train" / "0.jpg")
    with pytest.raises(DataError, match=r"0.txt.*0.png"):
        read_dataset(folder)
    kept = read_dataset(folder, skip_invalid=True)
    assert [record.path.name for record in kept] == ["0.jpg", "1.png"]


def test_images_without_a_label_file_or_with_an_empty_one_have_no_objects(tmp_path):
    contents = read_yolo(lay_out(tmp_path, None, "", BOX), "train")
    assert [image["file_name"] for image in contents.coco["images"]] == [f"images/train/{i}.png" for i in range(3)]
    assert [found["image_id"] for found in contents.coco["annotations"]] == [3]


def test_the_folder_and_its_yaml_file_are_recognized_with_the_splits_they_name(tmp_path):
    lay_out(tmp_path, BOX, val=None, valid="images/train")
    for path in (tmp_path, tmp_path / "data.yaml"):
        assert recognize(path, "val") == "yolo"
        assert has_split(path, "val")
        assert not has_split(path, "test")
        assert len(read_dataset(path, "val").records) == 1
    (tmp_path / "data.yaml").write_text("key: value")
    assert not is_yolo(tmp_path, "train")
    assert not is_yolo(tmp_path / "images", "train")


def test_images_are_named_by_folders_lists_or_several_of_them(tmp_path):
    lay_out(tmp_path, BOX, POLYGON)
    lay_out(tmp_path, BOX, split="more")
    (tmp_path / "train.txt").write_text("./images/train/1.png\n\nimages/more/0.png\n")
    lay_out(tmp_path, train="train.txt")
    assert [image["file_name"] for image in read_yolo(tmp_path, "train").coco["images"]] == [
        "images/more/0.png",
        "images/train/1.png",
    ]
    lay_out(tmp_path, train=["images/train", "images/more"])
    assert len(read_yolo(tmp_path, "train").coco["images"]) == 3


@pytest.mark.parametrize(
    ("path", "place"),
    [("../other/set", "images/train"), (None, "../images/train"), (".", "images/train"), (".", "images\\train")],
)
def test_a_path_that_is_not_there_is_taken_from_the_files_folder(tmp_path, path, place):
    assert len(objects(lay_out(tmp_path / "images" / "set", BOX, path=path, train=place))) == 1


def test_the_folder_of_the_images_can_be_given(tmp_path):
    assert len(objects(lay_out(tmp_path, BOX, train="gone"), images=tmp_path / "images" / "train")) == 1


def test_classes_are_a_list_numbers_with_names_or_a_count(tmp_path):
    for known, names in (
        ({"names": {1: "b", 0: "a"}}, ["a", "b"]),
        ({"names": None, "nc": 2}, ["class_0", "class_1"]),
        ({"names": ["no", "x"], "nc": 2}, ["no", "x"]),
    ):
        found = read_yolo(lay_out(tmp_path, BOX, **known), "train").coco["categories"]
        assert found == [{"id": i, "name": name} for i, name in enumerate(names, start=1)]


def test_a_list_of_classes_stands_in_for_the_yaml_file(tmp_path):
    """As Label Studio exports it, and labelImg with the list among the labels; with and without folders of splits."""
    for folder, place, split in (
        ("one", "classes.txt", "train"),
        ("two", "labels/classes.txt", "val"),
        ("flat", "classes.txt", "."),
    ):
        (lay_out(tmp_path / folder, BOX, POLYGON, split=split) / "data.yaml").unlink()
        assert not is_yolo(tmp_path / folder, "train")
        (tmp_path / folder / place).write_text("cat\ndog\n\n")
        name = "train" if split == "." else split
        assert (recognize(tmp_path / folder, name), has_split(tmp_path / folder, "test")) == ("yolo", False)
        data = read_dataset(tmp_path / folder, name)
        assert data.classes.names == ("cat", "dog")
        assert [len(record.instances) for record in data.records] == [1, 1]


def test_keypoints_follow_the_box(tmp_path):
    lay_out(tmp_path, f"{BOX} 0.1 0.2 2 0 0 0 0.3 0.5 1\n", kpt_shape=[3, 3], flip_idx=[0, 2, 1])
    contents = read_yolo(tmp_path, "train").coco
    assert contents["annotations"][0]["keypoints"] == [10, 8, 2, 0, 0, 0, 30, 20, 1]
    assert contents["annotations"][0]["num_keypoints"] == 2
    assert contents["categories"][0]["flip_pairs"] == [[2, 3]]
    assert contents["categories"][0]["keypoints"] == ["keypoint 1", "keypoint 2", "keypoint 3"]
    lay_out(tmp_path, f"{BOX} 0.1 0.2 0 0 -1 -1\n", kpt_shape=[3, 2], kpt_names={0: ["a", "b", "c"]})
    contents = read_yolo(tmp_path, "train").coco
    assert contents["annotations"][0]["keypoints"] == [10, 8, 2, 0, 0, 2, 0, 0, 0]
    assert contents["categories"][0]["keypoints"] == ["a", "b", "c"]


def test_seventeen_keypoints_that_mirror_as_cocos_are_cocos(tmp_path):
    lay_out(tmp_path, "", kpt_shape=[17, 3], flip_idx=list(COCO_PERSON.mirrored))
    assert read_dataset(tmp_path).classes.keypoint_schema == COCO_PERSON
    lay_out(tmp_path, "", kpt_shape=[17, 3], flip_idx=list(range(17)))
    assert read_dataset(tmp_path).classes.keypoint_schema.names[0] == "keypoint 1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "class 2 is none of the 2 classes, which are 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "class -1 is none"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 is none"),
        ("nan 0.5 0.5 0.1 0.1", "class nan is none"),
        ("cat 0.5 0.5 0.1 0.1", "'cat' is not a number; a line is"),
        ("0 0.5 0.5 0.1 10", "10 lies outside 0..1; coordinates are shares"),
        ("0 0.5 0.5 0.1 nan", "nan lies outside 0..1"),
        ("0 0.5 0.5 0.1 -0.1", "-0.1 lies outside"),
        ("0 0.5 0.5 0.1", "there are 3 numbers after the class, but a box has 4, a polygon"),
        ("0 0.5 0.5 0.1 0.1 0.9", "there are 5 numbers"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.1 0.1", "there are 7 numbers"),
        ("0", "there are 0 numbers"),
    ],
)
def test_a_line_that_cannot_be_used_is_an_error_or_is_left_out(tmp_path, line, message):
    lay_out(tmp_path, f"{BOX}\n{line}\n")
    assert_refused_or_left_out(tmp_path, "labels/train/0.txt: line 2: ", message)


def test_what_division_left_over_is_rounded_away():
    _, found = label_object(f"0 {33.37 / 427!r} 0 0.5 0 0.5 1", ["cat"], (40, 427), None)
    assert found["segmentation"][0][0] == 33.37


@pytest.mark.parametrize(
    ("numbers", "shape", "points"),
    [
        ("0.1 0.5 1", (1, 3), [10, 20, 1]),
        ("0.1 0.5 2.0", (1, 3), [10, 20, 2]),
        ("-9 9 0", (1, 3), [0, 0, 0]),
        ("0.1 0.5 -1 -1", (2, 2), [10, 20, 2, 0, 0, 0]),
    ],
)
def test_a_keypoint_that_is_not_annotated_has_no_place(numbers, shape, points):
    _, found = label_object(f"0 0.5 0.5 0.2 0.5 {numbers}", ["cat"], (40, 100), KeypointShape(*shape))
    assert (found["keypoints"], found["num_keypoints"]) == (points, sum(seen > 0 for seen in points[2::3]))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BOX, ".*4 numbers .*`kpt_shape`.* 7"),
        (f"{BOX} 0.1 0.1 3", "visibility 3"),
        (f"{BOX} 1.1 0.1 2", "1.1 "),
    ],
)
def test_keypoints_that_cannot_be_used_are_named(tmp_path, line, message):
    with pytest.raises(DataError, match=f"line 1: {message}"):
        read_dataset(lay_out(tmp_path, line, kpt_shape=[1, 3]))


def test_coordinates_may_reach_a_percent_over_the_image(tmp_path):
    data = read_dataset(lay_out(tmp_path, "0 -0.01 0.5 0.5 1.01\n"))
    assert data.records[0].instances.boxes.tolist() == [[0, 0, 24, 40]]


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"names": {0: "a", 2: "b"}}, "`names` has the numbers 0, 2"),
        ({"names": {"a": 0}}, "`names` has the numbers a"),
        ({"names": "cat"}, "`names` must list"),
        ({"names": ["a", "a"]}, "`names` has 'a' twice"),
        ({"nc": 3}, "`nc` is 3, but `names` has 2"),
        ({"kpt_shape": [17]}, r"`kpt_shape` is \[17\]"),
        ({"kpt_shape": [17, 4]}, r"`kpt_shape` is \[17, 4\]"),
        *(({"kpt_shape": [3, 3], "flip_idx": wrong}, "`flip_idx` is .*0 to 2") for wrong in FLIPS),
        ({"train": "photos"}, "`train: photos`.*photos"),
        ({"train": "list.txt"}, "list.txt: line 2: 'gone.png'"),
        ({"train": "empty"}, r"the split `train` \(empty\)"),
    ],
)
def test_a_description_that_cannot_be_used_is_an_error(tmp_path, known, message):
    (tmp_path / "list.txt").write_text("images/train/0.png\ngone.png\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=rf"data.yaml: .*{message}|{message}"):
        read_dataset(lay_out(tmp_path, BOX, **known), skip_invalid=True)


def test_a_split_that_is_not_named_is_an_error_with_the_line_to_add(tmp_path):
    with pytest.raises(DataError, match=r"`test: images/test`"):
        read_yolo(lay_out(tmp_path, BOX), "test")


def test_labels_that_lie_elsewhere_are_an_error_and_not_a_set_without_objects(tmp_path):
    (lay_out(tmp_path, BOX, BOX) / "labels").rename(tmp_path / "annotations")
    with pytest.raises(DataError, match=r"none of the 2 .*`train`.*labels/train/0.txt"):
        read_dataset(tmp_path)


def test_a_broken_yaml_file_or_label_file_is_named(tmp_path):
    lay_out(tmp_path, BOX)
    (tmp_path / "labels" / "train" / "0.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(DataError, match="0.txt"):
        read_dataset(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [cat, dog")
    with pytest.raises(DataError, match="data.yaml.*YAML"):
        read_dataset(tmp_path / "data.yaml")


def test_a_folder_of_labels_without_a_description_says_what_it_lacks(tmp_path):
    lay_out(tmp_path, BOX, names=None)
    with pytest.raises(DataError, match="data.yaml: `names`"):
        recognize(tmp_path)
    (tmp_path / "data.yaml").write_text("names:\n\t0: cat\n")
    with pytest.raises(DataError, match="data.yaml: .*line 2"):
        recognize(tmp_path)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"no data.yaml.*`train:"):
        recognize(tmp_path)


def test_labels_whose_image_is_not_there_are_left_out_by_name(tmp_path):
    folder = lay_out(tmp_path, BOX, "", BOX)
    (folder / "labels" / "train" / "photo.txt").write_text(BOX)
    (folder / "labels" / "train" / "empty.txt").write_text("\n")
    (folder / "labels" / "train" / "classes.txt").write_text("cat\ndog\n")
    (skipped,) = read_yolo(folder, "train").skipped
    assert skipped.startswith(f"{folder}/labels/train/photo.txt: has objects, but its image ")
    with pytest.raises(DataError, match=r"photo\.txt: .*images/train/photo\.\*"):
        read_dataset(folder, "train")
    assert len(read_dataset(folder, "train", skip_invalid=True).records) == 3


def test_labels_of_another_split_in_the_same_folder_belong_to_their_images(tmp_path):
    folder = lay_out(tmp_path, BOX, BOX)
    (folder / "train.txt").write_text("./images/train/0.png\n")
    described = yaml.safe_load((folder / "data.yaml").read_text()) | {"train": "train.txt"}
    (folder / "data.yaml").write_text(yaml.safe_dump(described))
    found = read_yolo(folder, "train")
    assert (len(found.coco["images"]), found.skipped) == (1, ())
