import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import has_split, read_dataset, recognize
from maskrcnn.data.readers.cvat import is_cvat, is_part_of_cvat, read_cvat
from maskrcnn.errors import DataError
from tests.builders.exports import assert_equal, drawn_set, write_cvat
from tests.builders.refusals import assert_refused_or_left_out

BOX = '<box label="cat" occluded="0" xtl="10" ytl="5" xbr="20" ybr="15"{}/>'
POLYGON = '<polygon label="dog" occluded="1" points="10,5;20,5;20,15"{}/>'
LABELS = "<label><name>cat</name></label><label><name>dog</name></label>"
PARTS = "".join(f"<label><name>{name}</name><parent>dog</parent></label>" for name in ("nose", "left_ear", "right_ear"))


def write(folder, *images, labels=LABELS, holder="task", name="annotations.xml"):
    """`annotations.xml` with (attributes, shapes) of images of 60 x 50 pixels in images/."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    texts = []
    for number, (more, *shapes) in enumerate(images):
        Image.new("L", (60, 50)).save(folder / "images" / f"{number}.png")
        about = f'id="{number}" name="{number}.png" width="60" height="50"{more}'
        texts.append(f"<image {about}>{''.join(shapes)}</image>")
    meta = f"<meta><{holder}><labels>{labels}</labels></{holder}></meta>"
    begin = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    (folder / name).write_text(f"{begin}{meta}{''.join(texts)}</annotations>")
    return folder


def objects(folder, *shapes, **options):
    return read_cvat(write(folder, ("", *shapes), **options), "train").coco["annotations"]


def test_boxes_polygons_ellipses_and_masks_are_objects(tmp_path):
    ellipse = '<ellipse label="cat" cx="30" cy="30" rx="10" ry="5"/>'
    mask = '<mask label="cat" rle="1, 2, 2, 1" left="3" top="4" width="3" height="2"/>'
    box, polygon, ellipse, mask = objects(tmp_path, BOX.format(""), POLYGON.format(""), ellipse, mask)
    for holder in ("task", "project", "job"):
        again = read_dataset(write(tmp_path / holder, ("", BOX.format("")), holder=holder))
        assert again.classes.names == ("cat", "dog")
    assert (box["bbox"], box["category_id"]) == ([10, 5, 10, 10], 1)
    assert (polygon["segmentation"], polygon["category_id"]) == ([[10, 5, 20, 5, 20, 15]], 2)
    (turned,) = objects(tmp_path / "turned", BOX.format(' rotation="90.00"'))
    assert "bbox" not in turned
    assert turned["segmentation"][0] == pytest.approx([20, 5, 20, 15, 10, 15, 10, 5])
    masks = read_dataset(tmp_path).records[0].instances.masks
    assert masks.crop(2).bitmap.sum() == pytest.approx(np.pi * 50, rel=0.03)
    assert (masks.crop(3).x, masks.crop(3).y) == (4, 4)
    assert masks.crop(3).bitmap.tolist() == [[True, True], [False, True]]


def test_shapes_of_one_label_and_group_are_one_object(tmp_path):
    grouped = POLYGON.format(' group_id="3"')
    found = objects(tmp_path, grouped, BOX.format(' group_id="3"'), grouped, POLYGON.format(' group_id="0"'))
    assert [len(one.get("segmentation", [])) for one in found] == [2, 0, 1]


def test_tags_are_no_objects_and_an_attribute_makes_a_crowd(tmp_path):
    crowd = POLYGON.format("").replace("/>", '><attribute name="is_crowd">true</attribute></polygon>')
    found = objects(tmp_path, '<tag label="cat"/>', crowd, POLYGON.format(""))
    assert [one["iscrowd"] for one in found] == [1, 0]


def skeleton(*points, group=""):
    return f'<skeleton label="dog"{group}>{"".join(points)}</skeleton>'


def point(name, place, outside=0, occluded=0):
    return f'<points label="{name}" outside="{outside}" occluded="{occluded}" points="{place}"/>'


POINTS = (point("right_ear", "30,21", occluded=1), point("nose", "25,14"), point("left_ear", "1,1", outside=1))


def test_a_skeleton_has_keypoints_in_the_box_around_them_or_in_its_groups_shape(tmp_path):
    (found,) = objects(tmp_path, skeleton(*POINTS), labels=LABELS + PARTS)
    assert found["keypoints"] == [25, 14, 2, 0, 0, 0, 30, 21, 1]
    assert (found["num_keypoints"], found["bbox"]) == (2, [25, 14, 5, 7])
    group = ' group_id="1"'
    shapes = skeleton(*POINTS, group=group), POLYGON.format(group)
    (grouped,) = objects(tmp_path / "group", *shapes, labels=LABELS + PARTS)
    assert (grouped["num_keypoints"], grouped["segmentation"]) == (2, [[10, 5, 20, 5, 20, 15]])
    classes = read_dataset(tmp_path / "group").classes
    assert (classes.names, classes.keypoint_schema.names) == (("cat", "dog"), ("nose", "left_ear", "right_ear"))


def test_subsets_of_a_project_are_splits(tmp_path):
    write(tmp_path, (' subset="Train"', BOX.format("")), (' subset="VALID"', BOX.format("")), (' subset="other"',))
    for path in (tmp_path, tmp_path / "annotations.xml"):
        assert (has_split(path, "train"), has_split(path, "val"), has_split(path, "test")) == (True, True, False)
        assert [record.path.name for record in read_dataset(path, "val").records] == ["1.png"]
        with pytest.raises(DataError, match="`test`.*`train` .*`val`"):
            recognize(path, "test")


def test_a_file_without_subsets_is_any_split_and_its_folder_is_train(tmp_path):
    write(tmp_path, ("", BOX.format("")))
    file = tmp_path / "annotations.xml"
    assert recognize(file, "val") == "cvat"
    assert not is_part_of_cvat(file, "val")
    assert (is_cvat(tmp_path, "train"), is_cvat(tmp_path, "val")) == (True, False)


def test_splits_may_be_folders_or_files(tmp_path):
    write(tmp_path / "one" / "valid", ("", BOX.format("")))
    write(tmp_path / "two", ("", BOX.format("")), name="val.xml")
    assert len(read_dataset(tmp_path / "one", "val").records) == len(read_dataset(tmp_path / "two", "val").records) == 1


def test_images_without_a_size_are_opened_and_can_lie_elsewhere(tmp_path):
    write(tmp_path, ("", BOX.format("")))
    file = tmp_path / "annotations.xml"
    file.write_text(file.read_text().replace(' width="60"', ""))
    (tmp_path / "images").rename(tmp_path / "photos")
    assert read_dataset(tmp_path, images=tmp_path / "photos").records[0].size == (50, 60)
    with pytest.raises(DataError, match="0.png"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOX.format("").replace("cat", "cow"), r"\(box, cow\)"),
        (BOX.format("").replace('"20"', '"x"'), r"\(box, cat\): `xbr` is 'x'"),
        (BOX.format("").replace('"20"', '"nan"'), "`xbr` is 'nan'"),
        (BOX.format("").replace('"20"', '"10"'), "0 px"),
        (BOX.format(' rotation="x"'), "`rotation` is 'x'"),
        (POLYGON.format("").replace("20,15", "20"), "`points` is '10,5;20,5;20'"),
        (POLYGON.format("").replace(";20,15", ""), "4 numbers"),
        ('<polyline label="cat" points="1,1;2,2;3,3"/>', r"\(polyline, cat\)"),
        ('<points label="cat" points="1,1"/>', "a points"),
        ('<ellipse label="cat" cx="30" cy="30" rx="0" ry="5"/>', "0 and 5"),
        ('<mask label="cat" rle="1,2" left="0" top="0" width="2" height="2"/>', "3 pixels.* 2 x 2"),
        ('<mask label="cat" rle="1,x" left="0" top="0" width="2" height="2"/>', "`rle`"),
        ('<mask label="cat" rle="4" left="0" top="0" width="2" height="2"/>', "no pixel"),
        ('<mask label="cat" rle="4" left="0" top="0" width="2"/>', "`height` is ''"),
        ('<skeleton label="cat"></skeleton>', "are none"),
        (skeleton(point("tail", "1,1")), "tail.*nose, left_ear, right_ear"),
        (skeleton(point("nose", "1,1", outside=1)), "outside"),
    ],
)
def test_a_shape_that_cannot_be_used_is_an_error_or_is_left_out(tmp_path, text, message):
    write(tmp_path, ("", POLYGON.format(""), text), labels=LABELS + PARTS)
    assert_refused_or_left_out(tmp_path, r"annotations.xml: (0.png: shape|annotation) 2", message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-30], "line 2"),
        (lambda text: text.replace("image ", "photo ").replace("/image", "/photo"), "<image>"),
        (lambda text: text.replace("</annotations>", "<track/></annotations>"), "tracks"),
        (lambda text: text.replace("label>", "word>"), "<meta>"),
        (lambda text: text.replace("1.png", "0.png"), "images/0.png"),
    ],
)
def test_a_broken_file_is_named(tmp_path, change, message):
    write(tmp_path, ("", BOX.format("")), ("",))
    file = tmp_path / "annotations.xml"
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=f"annotations.xml: .*{message}"):
        read_dataset(tmp_path, form="cvat", skip_invalid=True)


def test_other_xml_files_are_not_taken_for_cvats(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotation><object/></annotation>")
    assert not is_cvat(tmp_path, "train")


def test_images_lie_beside_the_folder_of_annotations(tmp_path):
    write_cvat(drawn_set(tmp_path / "drawn"), tmp_path / "drawn", tmp_path / "set")
    before = read_dataset(tmp_path / "set")
    (tmp_path / "set" / "annotations").mkdir()
    (tmp_path / "set" / "annotations.xml").rename(tmp_path / "set" / "annotations" / "train.xml")
    assert_equal(before, read_dataset(tmp_path / "set"))
