import json

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import has_split, read_dataset, recognize
from maskrcnn.data.readers.via import is_via, read_via
from maskrcnn.errors import DataError
from tests.builders.refusals import assert_refused_or_left_out

POLYGON = {"name": "polygon", "all_points_x": [10, 20, 20], "all_points_y": [5, 5, 15]}
BOTH = {"owl": True, "cat": True}
RECT = {"name": "rect", "x": 10, "y": 5, "width": 7, "height": 8}


def region(shape=POLYGON, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def write(folder, *regions, image="a.png", file="via.json", **project):
    """A file with one image of 60 x 50 pixels; a project if it has more entries."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (60, 50)).save(folder / image)
    metadata = {f"{image}99": {"filename": image, "size": 99, "regions": list(regions), "file_attributes": {}}}
    content = {"_via_img_metadata": metadata, **project} if project else metadata
    (folder / file).write_text(json.dumps(content))
    return folder


def objects(folder, *regions, **options):
    return read_via(write(folder, *regions, **options), "train").coco["annotations"]


def test_rectangles_polygons_circles_ellipses_and_closed_polylines_are_objects(tmp_path):
    circle = {"name": "circle", "cx": 30, "cy": 30, "r": 10}
    ellipse = {"name": "ellipse", "cx": 30, "cy": 30, "rx": 10, "ry": 5, "theta": np.pi / 2}
    line = {"name": "polyline", "all_points_x": [1, 9, 9, 1], "all_points_y": [1, 1, 9, 1]}
    found = objects(tmp_path, region(RECT), region(), region(circle), region(ellipse), region(line))
    assert found[0]["bbox"] == [10, 5, 7, 8]
    assert found[1]["segmentation"] == [[10, 5, 20, 5, 20, 15]]
    assert found[4]["segmentation"] == [[1, 1, 9, 1, 9, 9, 1, 1]]
    instances = read_dataset(tmp_path).records[0].instances
    areas = [instances.masks.crop(i).bitmap.sum() for i in (2, 3)]
    assert areas == pytest.approx([np.pi * 100, np.pi * 50], rel=0.03)
    assert instances.boxes[3].tolist() == pytest.approx([25, 20, 35, 40], abs=0.1)


def test_regions_of_via_1_are_numbered(tmp_path):
    write(tmp_path)
    content = json.loads((tmp_path / "via.json").read_text())
    content["a.png99"]["regions"] = {"0": region(), "1": region(RECT)}
    (tmp_path / "via.json").write_text(json.dumps(content))
    assert len(read_dataset(tmp_path).records[0].instances) == 2


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({}, "object"),
        ({"species": "owl"}, "owl"),
        ({"Label": "owl", "age": "3"}, "owl"),
        ({"name": "Anna", "class": "owl"}, "owl"),
        ({"class": {"owl": True, "cat": False}}, "owl"),
        ({"iscrowd": "1"}, "object"),
    ],
)
def test_the_class_is_the_only_attribute_or_the_one_that_is_called_so(tmp_path, attributes, name):
    assert read_dataset(write(tmp_path, region(**attributes))).classes.names == (name,)


OPTIONS = {"class": {"type": "radio", "options": {"owl": "", "cat": ""}}, "note": {"type": "text"}}
TWO = {"name": {"type": "text"}, "type": {"type": "dropdown", "options": {"bird": "Bird"}}}
NUMBERS = {"kind": {"type": "dropdown", "options": {"1": "owl", "2": "", "3": "cat"}}}


@pytest.mark.parametrize(
    ("attributes", "regions", "names", "labels"),
    [
        (OPTIONS, [{"class": "cat"}], ("owl", "cat"), [1]),  # in the project's order
        (TWO, [{"name": "Anna", "type": "bird"}], ("bird",), [0]),  # of several that fit, the one with options
        (NUMBERS, [{"kind": "3"}, {"kind": "2"}], ("owl", "2", "cat"), [2, 1]),  # descriptions are their names
    ],
)
def test_the_options_of_a_project_are_the_classes(tmp_path, attributes, regions, names, labels):
    regions = [region(**one) for one in regions]
    data = read_dataset(write(tmp_path, *regions, _via_attributes={"region": attributes}))
    assert data.classes.names == names
    assert data.records[0].instances.labels.tolist() == labels


def test_the_classes_are_those_of_all_splits(tmp_path):
    write(tmp_path / "train", region(kind="owl", iscrowd="1"))
    write(tmp_path / "val", region(kind="cat"))
    train, val = read_dataset(tmp_path), read_dataset(tmp_path, "val")
    assert val.classes.names == train.classes.names == ("cat", "owl")
    assert (train[0].instances.crowd.tolist(), val[0].instances.crowd.tolist()) == ([True], [False])


def test_splits_are_folders_or_names_of_files_and_the_only_file_is_train(tmp_path):
    write(tmp_path / "one" / "train", region(), file="via_region_data.json")
    write(tmp_path / "one" / "val", region(), file="via_region_data.json")
    write(tmp_path / "two", region(), file="my_train.json")
    write(tmp_path / "two", region(), file="my_valid.json")
    write(tmp_path / "three", region())
    for name in ("one", "two"):
        assert (recognize(tmp_path / name), has_split(tmp_path / name, "val")) == ("via", True)
        assert len(read_dataset(tmp_path / name, "val").records) == 1
    assert (recognize(tmp_path / "three"), has_split(tmp_path / "three", "val")) == ("via", False)
    assert recognize(tmp_path / "three" / "via.json", "val") == "via"


def test_images_are_found_beside_the_file_in_images_or_where_the_project_says(tmp_path):
    for number, place in enumerate((".", "images", "photos")):
        folder = write(tmp_path / str(number), region(), _via_settings={"core": {"default_filepath": "./photos/"}})
        (folder / place).mkdir(exist_ok=True)
        (folder / "a.png").rename(folder / place / "a.png")
        assert read_dataset(folder).records[0].path.resolve() == (folder / place / "a.png").resolve()
    assert read_dataset(folder, images=folder / "photos").records[0].image_id == 1
    (folder / "photos" / "a.png").unlink()
    with pytest.raises(DataError, match="a.png"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "point", "cx": 1, "cy": 1}, "a.png: region 1: a point"),
        ({"name": "polyline"}, "open polyline"),
        ({"all_points_x": [1, 2]}, "`all_points_x` and `all_points_y`"),
        ({"all_points_x": [1, 2, "x"]}, "`all_points_x` and `all_points_y`"),
        ({"all_points_x": [1, 2], "all_points_y": [1, 2]}, "a polygon .* 4 numbers"),
        ({"all_points_x": [1, 2, 900]}, " 900"),
        ({**RECT, "width": "7"}, "`width` of a rect is '7'"),
        ({**RECT, "width": 0}, "0 px"),
        ({"name": "circle", "cx": 1, "cy": 1, "r": -1}, "-1 and -1"),
        ({"name": "circle", "cx": 1, "cy": 1}, "`r` of a circle is None"),
    ],
)
def test_a_region_that_cannot_be_used_is_an_error_or_is_left_out(tmp_path, changes, message):
    write(tmp_path, region(), region({**POLYGON, **changes}))
    assert_refused_or_left_out(tmp_path, "via.json: ", message)


@pytest.mark.parametrize(
    ("regions", "value"),
    [
        *(([{"kind": "owl"}, one], "region 1: `kind`") for one in ({}, {"kind": ""}, {"kind": None}, {"kind": BOTH})),
        ([{"kind": ""}], "no region has a value of `kind`"),
        ([{"age": "3", "color": "red"}], "age, color, .*class"),
    ],
)
def test_regions_without_a_class_are_an_error(tmp_path, regions, value):
    with pytest.raises(DataError, match=rf"via.json: .*{value}"):
        read_dataset(write(tmp_path, *(region(**one) for one in regions)))


HEADER = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
ROW = 'a.png,99,"{}",1,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}","{""kind"":""owl""}"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"filename": "a.png", "regi', "line 1, column"),
        ('["shape_attributes"]', "`_via_img_metadata`"),
        ('{"a": {"filename": "a.png", "file_attributes": {}}}', "record 'a'.*`regions`"),
        ('{"a": {"regions": [], "file_attributes": {}}}', "record 'a'.*`filename`"),
        ('{"a": {"filename": "a", "regions": []}, "b": {"filename": "a", "regions": []}}', "image a "),
        ('{"a": {"filename": "a.png", "regions": [3]}}', "region 0: .*`shape_attributes`"),
        (HEADER + ROW[:60] + '"', "row 2"),
        (HEADER + "a.png,99\n", "row 2"),
        (HEADER.replace("region_attributes", "more"), "region_attributes"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, message):
    file = tmp_path / ("via.csv" if text.startswith("filename") else "via.json")
    write(tmp_path)
    file.write_text(text)
    with pytest.raises(DataError, match=rf"{file.name}: (.*\W)?{message}"):
        read_dataset(file, form="via")


def test_a_csv_file_has_a_row_per_region_and_one_for_an_image_without(tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path, image=name)
    (tmp_path / "via.json").unlink()
    (tmp_path / "via.csv").write_text(f'#{HEADER}{ROW}b.png,99,"{{}}",0,0,"{{}}","{{}}"\n')
    data = read_dataset(tmp_path)
    assert [len(record.instances) for record in data.records] == [1, 0]
    assert data.records[0].instances.boxes.tolist() == [[1, 2, 4, 6]]


def test_other_files_are_not_taken_for_vias(tmp_path):
    (tmp_path / "train.json").write_text('{"images": []}')
    (tmp_path / "train.csv").write_text("a,b\n")
    assert not is_via(tmp_path, "train")
