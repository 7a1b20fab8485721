"""Datumaro, Create ML, CSV files and DOTA, each as its tool writes it."""

import numpy as np
import pytest

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.structures.masks import encode_crop, tight_crop
from tests.builders.refusals import assert_refused_or_left_out
from tests.builders.tools import BOX, HEIGHT, WIDTH, image, write
from tests.rules.source import ROOT

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
REAL = ROOT.parent / "shared" / "data" / "real"


def datumaro(folder, *annotations, **item):
    image(folder / "images" / "train" / "a.jpg")
    objects = [{"type": "bbox", "bbox": BOX, "label_id": 1, "group": 0}, *annotations]
    known = {"id": "a", "annotations": objects, "image": {"path": "a.jpg", "size": [HEIGHT, WIDTH]}, **item}
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("cat", "dog")]
    content = {"infos": {}, "categories": {"label": {"labels": labels, "attributes": []}}, "items": [known]}
    write(folder / "annotations" / "train.json", content)


def test_datumaro_s_shapes_groups_and_crowds_are_objects(tmp_path):
    bitmap = np.zeros((HEIGHT, WIDTH), dtype=bool)
    bitmap[20:24, 3:9] = True
    rle = encode_crop(tight_crop(0, 0, bitmap), (HEIGHT, WIDTH))
    datumaro(
        tmp_path,
        {"type": "mask", "rle": rle, "label_id": 0, "group": 0, "attributes": {"is_crowd": True}},
        {"type": "polygon", "points": SQUARE, "label_id": 0, "group": 3},
        {"type": "bbox", "bbox": [2, 2, 10, 10], "label_id": 0, "group": 3},
        {"type": "ellipse", "points": [20, 5, 30, 20], "label_id": 1, "group": 0},
        {"type": "label", "label_id": 0},
    )
    assert recognize(tmp_path) == "datumaro"
    data = read_dataset(tmp_path)
    found = data[0].instances
    assert data.classes.names == ("cat", "dog")
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.crowd.tolist() == [False, True, False, False]
    assert (found.masks.bitmap(1) == bitmap).all()
    assert found.boxes[[0, 2]].tolist() == [[20, 5, 30, 20], [2, 2, 12, 12]]
    assert found.boxes[3].tolist() == pytest.approx([20, 5, 30, 20], abs=0.1)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"type": "points", "points": [1, 2], "label_id": 0}, "points"),
        ({"type": "bbox", "bbox": [1, 2, 3], "label_id": 0}, "`bbox`"),
        ({"type": "bbox", "bbox": BOX, "label_id": 7}, "label 7"),
        ({"type": "polygon", "points": [1, "2"], "label_id": 0}, "`points`"),
    ],
)
def test_what_datumaro_has_without_area_is_refused_or_left_out(tmp_path, wrong, named):
    datumaro(tmp_path, wrong)
    assert_refused_or_left_out(tmp_path, "item a: object 2", named)


def test_items_of_datumaro_without_path_and_size_are_found_by_their_id(tmp_path):
    datumaro(tmp_path, image=None)
    assert read_dataset(tmp_path)[0].path == tmp_path / "images" / "train" / "a.jpg"


def test_create_ml_has_boxes_by_their_middle(tmp_path):
    image(tmp_path / "a.jpg")
    box = {"x": 25, "y": 12.5, "width": 10, "height": 15}
    good, wrong = ({"label": "dog", "coordinates": one} for one in (box, {**box, "x": None}))
    write(tmp_path / "_annotations.createml.json", [{"image": "a.jpg", "annotations": [good]}])
    assert recognize(tmp_path) == "createml"
    assert read_dataset(tmp_path)[0].instances.boxes.tolist() == [[20, 5, 30, 20]]
    write(tmp_path / "_annotations.createml.json", [{"imagefilename": "a.jpg", "annotation": [good, wrong]}])
    assert_refused_or_left_out(tmp_path, r"createml\.json", "object 2", "`x`")


TABLES = {
    "deepforest": "image_path,xmin,ymin,xmax,ymax,label\na.png,20,5,30,20,dog\nb.png,0,0,0,0,dog\n",
    "tensorflow": "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,30,dog,20,5,30,20\nb.png,,,,,,,\n",
    "wheat": 'image_id,width,height,bbox,source\na,40,30,"[20.0, 5.0, 10.0, 15.0]",x\nb,40,30,,x\n',
    "wkt": 'image_path,label,geometry\na.png,dog,"POLYGON ((20 5, 30 5, 30 20, 20 20, 20 5))"\nb.png,,\n',
    "corners": "\ufeffimage_id,x1,y1,x2,y2,class_name\na,30,20,20,5,dog\nb,,,,,\n",
    "runs": "ImageId,EncodedPixels\na.png,"
    + " ".join(f"{column * HEIGHT + 6} 15" for column in range(20, 30))
    + "\nb.png,\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_all_kinds_have_the_same_box_and_an_empty_image(tmp_path, name):
    for file in ("a.png", "b.png"):
        image(tmp_path / "train" / file)
    write(tmp_path / "train.csv", TABLES[name])
    assert recognize(tmp_path) == "csv-boxes"
    data = read_dataset(tmp_path)
    assert [record.instances.boxes.tolist() for record in data] == [[[20, 5, 30, 20]], []]
    assert data.classes.names == (("object",) if name in ("wheat", "runs") else ("dog",))
    if name in ("wkt", "runs"):
        assert data[0].instances.masks.bitmap(0).sum() == 150


def test_polygons_of_a_table_may_have_holes_and_parts(tmp_path):
    image(tmp_path / "a.png")
    ring = "((2 2, 12 2, 12 12, 2 12, 2 2), (4 4, 8 4, 8 8, 4 8, 4 4))"
    text = f"MULTIPOLYGON ({ring}, ((20 2, 22 2, 22 4, 20 4, 20 2)))"
    write(tmp_path / "x.csv", f'image_path,geometry\na.png,"{text}"\n')
    assert read_dataset(tmp_path)[0].instances.masks.bitmap(0).sum() == 100 - 16 + 4


@pytest.mark.parametrize(
    ("header", "wrong", "named"),
    [
        ("xmin,ymin,xmax,ymax", "1,2,x,4", "line 3.*xmax"),
        ("geometry", "POINT (1 2)", "line 3.*POINT"),
        ("EncodedPixels", "1190 30", "line 3.*EncodedPixels"),
        ("EncodedPixels", "1 2 3", "line 3.*EncodedPixels"),
        ("bbox", "1", "line 3.*bbox"),
    ],
)
def test_lines_that_cannot_be_used_are_refused_or_left_out(tmp_path, header, wrong, named):
    good = {"geometry": '"POLYGON ((2 2, 9 2, 9 9))"', "EncodedPixels": "1 9", "bbox": '"[1, 2, 3, 4]"'}
    good["geometry"] = '"POLYGON ((2 2, 9 2, 9 9, 2 2))"'
    image(tmp_path / "a.png")
    write(tmp_path / "x.csv", f"image_path,{header}\na.png,{good.get(header, '1,2,3,4')}\na.png,{wrong}\n")
    assert_refused_or_left_out(tmp_path, r"x\.csv: a\.png: object 2", named)


def test_dota_s_rectangles_difficult_ones_as_crowds(tmp_path):
    image(tmp_path / "images" / "P0001.png")
    corners = " ".join(map(str, SQUARE))
    lines = ["imagesource:GoogleEarth", "gsd:0.14", f"{corners} ship 0", f"{corners} harbor 1"]
    write(tmp_path / "labelTxt" / "P0001.txt", "\n".join(lines))
    assert recognize(tmp_path) == "dota"
    data = read_dataset(tmp_path)
    assert data.classes.names == ("harbor", "ship")
    assert data[0].instances.crowd.tolist() == [False, True]
    assert data[0].instances.boxes.tolist() == [[2, 2, 12, 12]] * 2
    write(tmp_path / "labelTxt" / "P0001.txt", f"{corners} ship 0\n1 2 3 4 5 6 7 x ship 0\n")
    assert_refused_or_left_out(tmp_path, r"P0001\.txt: object 2", "line 2.*x")


@pytest.mark.parametrize(
    ("file", "objects"),
    [
        ("testfile_deepforest.csv", 61),
        ("2019_BLAN_3_751000_4330000_image_crop_polygon.csv", 4),
        ("testfile_multi.csv", 37),
    ],
)
def test_real_files_of_deepforest_are_read(file, objects):
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not there")
    data = read_dataset(REAL / "deepforest_trees" / file)
    assert sum(len(record.instances) for record in data) == objects
