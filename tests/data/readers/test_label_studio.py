import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.formats import read_dataset, recognize
from maskrcnn.data.readers.label_studio import decode_brush, read_label_studio
from maskrcnn.errors import DataError
from tests.builders.refusals import assert_refused_or_left_out
from tests.rules.source import ROOT

HEIGHT, WIDTH = 50, 100
BOX = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
TRIANGLE = {"points": [[10, 10], [50, 10], [50, 90]], "closed": True}
LENGTHS = (3, 4, 8, 16)


def region(kind="rectanglelabels", label="cat", value=BOX, **more):
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": f"{kind}{random.random()}", "type": kind, "value": {**value, kind: [label]}, **size, **more}


def task(*regions, image="/data/upload/1/0a1b2c3d-a.png", number=1, **more):
    annotation = {"id": 7, "was_cancelled": False, "ground_truth": False, "result": list(regions)}
    return {"id": number, "annotations": [annotation], "predictions": [], "data": {"image": image}, **more}


def write(folder: Path, *tasks, name="project-1.json", image="images/a.png"):
    (folder / image).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (WIDTH, HEIGHT)).save(folder / image)
    (folder / name).write_text(json.dumps(tasks))
    return folder


def annotations(folder, split="train"):
    return read_label_studio(folder, split).coco["annotations"]


def encode(values, width=8):
    """The code of values as JavaScript's rle-pack describes it, a bit at a time, with runs of random kinds."""
    bits = f"{len(values):032b}{width - 1:05b}" + "".join(f"{length - 1:04b}" for length in LENGTHS)
    place = 0
    while place < len(values):
        same = next((n for n, value in enumerate(values[place:]) if value != values[place]), len(values) - place)
        repeated = random.random() < 0.7
        wanted = same if repeated else random.randint(1, min(9, len(values) - place))
        kind = random.choice([kind for kind in range(4) if repeated or 2 ** LENGTHS[kind] >= 1])
        length = min(wanted, 2 ** LENGTHS[kind])
        bits += f"{int(repeated)}{kind:02b}{length - 1:0{LENGTHS[kind]}b}"
        written = values[place : place + (1 if repeated else length)]
        bits += "".join(f"{value:0{width}b}" for value in written)
        place += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


@pytest.mark.parametrize("seed", range(20))
def test_brushes_are_what_a_slow_encoder_wrote(seed):
    random.seed(seed)
    values = [value for _ in range(40) for value in [random.choice([0, 1, 77, 255])] * random.choice([1, 2, 9, 700])]
    assert decode_brush(encode(values), len(values)).tolist() == values


def test_the_pixels_of_a_brush_are_those_with_alpha(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 4), dtype=int)
    pixels[..., :3] = 200  # colors do not matter
    pixels[10:20, 30:45, 3] = 1
    code = encode(pixels.ravel().tolist())
    write(tmp_path, task(region("brushlabels", value={"format": "rle", "rle": code})))
    masks = read_dataset(tmp_path)[0].instances.masks
    assert (masks.bitmap(0) == (pixels[..., 3] > 0)).all()


def test_shapes_are_percent_of_the_image(tmp_path):
    circle = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0}
    turned = {"x": 50, "y": 20, "width": 20, "height": 20, "rotation": 90}
    shapes = [region(), region("polygonlabels", value=TRIANGLE), region("ellipselabels", value=circle)]
    write(tmp_path, task(*shapes, region(value=turned)))
    box, triangle, ellipse, corners = annotations(tmp_path)
    assert box["bbox"] == [10, 10, 30, 20]
    assert triangle["segmentation"] == [[10, 5, 50, 5, 50, 45]]
    assert read_dataset(tmp_path)[0].instances.boxes[2].tolist() == pytest.approx([40, 15, 60, 35], abs=0.1)
    assert np.reshape(corners["segmentation"], (4, 2)) == pytest.approx(
        np.array([[50, 10], [50, 30], [40, 30], [40, 10]])
    )  # clockwise about the corner at 50, 10
    assert "iscrowd" in ellipse


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/upload/1/0a1b2c3d-a.png", "images/a.png"),
        ("/data/upload/1/0a1b2c3d-a.png", "0a1b2c3d-a.png"),
        ("/data/local-files/?d=photos/a%20b.png", "photos/a b.png"),
        ("https://host/bucket/a%20b.png?token=x", "a b.png"),
        ("s3://bucket/folder/a.png", "images/folder/a.png"),
    ],
)
def test_images_are_found_by_their_address(tmp_path, address, file):
    write(tmp_path, task(region(), image=address), image=file)
    assert read_dataset(tmp_path)[0].path == tmp_path / file


def test_the_short_export_has_the_same_objects(tmp_path):
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    short = {"id": 1, "image": "/data/upload/1/0a1b2c3d-a.png", "label": [{**BOX, "rectanglelabels": ["cat"], **size}]}
    write(tmp_path, {**short, "annotator": 1, "lead_time": 3.5})
    assert annotations(tmp_path)[0]["bbox"] == [10, 10, 30, 20]


def test_a_shape_and_its_label_may_be_two_results(tmp_path):
    drawn = {**region("polygon", value=TRIANGLE), "id": "x"}
    drawn["value"].pop("polygon")
    write(tmp_path, task(drawn, {"id": "x", "type": "labels", "value": {"labels": ["dog"]}}))
    assert read_dataset(tmp_path).classes.names == ("dog",)
    assert annotations(tmp_path)[0]["segmentation"] == [[10, 5, 50, 5, 50, 45]]


def test_the_ground_truth_counts_or_else_the_last_annotation_that_was_not_cancelled(tmp_path):
    results = [{"result": [region(label=name)]} for name in "abc"]
    results[2]["was_cancelled"] = True
    write(tmp_path, {**task(), "annotations": results})
    assert read_dataset(tmp_path).classes.names == ("b",)
    results[0]["ground_truth"] = True
    write(tmp_path, {**task(), "annotations": results})
    assert read_dataset(tmp_path).classes.names == ("a",)


def test_splits_share_their_classes_which_a_setup_may_list(tmp_path):
    write(tmp_path, task(region(label="dog")), name="train.json")
    write(tmp_path, task(region(label="cat")), name="val.json")
    assert read_dataset(tmp_path, "val").classes.names == ("cat", "dog")
    setup = (
        '<View><RectangleLabels name="x" toName="y"><Label value="dog"/><Label value="cat"/></RectangleLabels></View>'
    )
    (tmp_path / "label_config.xml").write_text(setup)
    assert read_dataset(tmp_path, "train").classes.names == ("dog", "cat")


def test_an_image_without_regions_is_read_and_choices_are_no_objects(tmp_path):
    choice = {"id": "x", "type": "choices", "value": {"choices": ["cat"]}}
    write(tmp_path, task(choice), task(region(), number=2, image="b.png"))
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "b.png")
    assert [len(record.instances) for record in read_dataset(tmp_path)] == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (region("keypointlabels", value={"x": 1, "y": 2, "width": 1}), "keypointlabels"),
        (region(value={**BOX, "x": "1"}), "'1'"),
        (region("polygonlabels", value={"points": [[1, 2], [3]]}), r"\[3\]"),
        (region("brushlabels", value={"rle": [0, 0, 0, 1]}), "20000"),
        (region("brushlabels", value={"rle": encode([0] * 4 * WIDTH * HEIGHT)[:9]}), "brush"),
        (region("brushlabels", value={"rle": [300]}), "`rle`"),
        (region(image_rotation=90), "turned"),
        ({**region(), "value": BOX}, "label"),
    ],
)
def test_what_cannot_be_used_is_refused_or_left_out(tmp_path, wrong, named):
    write(tmp_path, task(region(), wrong))
    assert_refused_or_left_out(tmp_path, "task 1: region 2", named)


def test_a_task_that_nobody_annotated_is_refused_or_left_out(tmp_path):
    prediction = {"result": [region()], "score": 0.5}
    write(tmp_path, task(region()), {**task(number=2), "annotations": [], "predictions": [prediction]})
    with pytest.raises(DataError, match="task 2"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path, skip_invalid=True)) == 1


@pytest.mark.parametrize(("name", "images", "objects"), [("polygons", 1, 1), ("obb", 3, 25)])
def test_real_exports_are_recognized_and_read(name, images, objects):
    folder = ROOT.parent / "shared" / "files" / "annotations" / "label_studio" / "test_export_yolo"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    file = folder / f"data_{name}.json"
    assert recognize(file) == "label-studio"
    coco = read_label_studio(file, "train").coco
    assert (len(coco["images"]), len(coco["annotations"])) == (images, objects)
