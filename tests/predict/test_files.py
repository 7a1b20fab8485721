import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from maskrcnn.config import InputSettings, ModelSettings
from maskrcnn.data.dataset import to_rgb
from maskrcnn.data.images import read_image
from maskrcnn.errors import DataError
from maskrcnn.predict.files import drawing_names, find_images, predict_files, read_ahead, write_segments
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.classes import Classes, keypoint_schema_of
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment
from maskrcnn.structures.predicted_masks import SoftMasks
from tests.rules.source import ROOT


class Fixed:
    """Stands in for a Predictor: finds one object of 2 x 3 pixels at the top left of every image."""

    classes = Classes(("cell", "dust"), (7, 9))
    notes = {}
    inputs = (InputSettings(),)
    settings = ModelSettings()
    masks = True

    def __init__(self):
        self.batches = []

    def predict_all(self, images, *, batch_size):
        self.batches.append(len(images))
        for image in images:
            boxes, size = torch.tensor([[0.0, 0, 2, 3]]), tuple(image.shape[1:])
            masks = SoftMasks(torch.ones(1, 28, 28), boxes, size, "grown") if self.masks else None
            yield Instances(size, boxes, torch.tensor([1]), torch.tensor([0.75]), masks=masks)


@pytest.fixture
def images(tmp_path):
    paths = [tmp_path / "in" / f"{name}.png" for name in "abc"]
    (tmp_path / "in").mkdir()
    for width, path in enumerate(paths, 10):
        Image.new("RGB", (width, 8)).save(path)
    return paths


def read(folder: Path) -> dict:
    return json.loads((folder / "predictions.json").read_text())


class WithKeypoints(Fixed):
    """Finds two keypoints of every object."""

    classes = Classes(
        ("owl", "mouse"), (7, 9), keypoint_schema=keypoint_schema_of({"keypoints": ["left_eye", "right_eye"]})
    )

    def predict_all(self, images, *, batch_size):
        for found in super().predict_all(images, batch_size=batch_size):
            yield replace(found, keypoints=torch.tensor([[[0.5, 1.5, 0.25], [1.0, 2.0, 7.0]]]))


def test_keypoints_and_what_they_are_called_are_written_as_in_coco_s_files(images, tmp_path):
    predict_files(WithKeypoints(), images[:1], tmp_path, score_threshold=0.5)
    content = read(tmp_path)
    assert content["images"][0]["objects"][0]["keypoints"] == [0, 1, 0.25, 0.5, 1.5, 7]
    assert content["classes"][0]["keypoints"] == ["left_eye", "right_eye"]
    assert content["classes"][0]["flip_pairs"] == [[1, 2]]


class WithSegments(Fixed):
    """Finds the left half of every image to be that object, and the rest to be sky."""

    classes = Classes(("cell", "dust"), (7, 9), stuff=("sky",), stuff_ids=(20,))

    def predict_all(self, images, *, batch_size):
        for found in super().predict_all(images, batch_size=batch_size):
            ids = torch.full(found.size, 2, dtype=torch.int32)
            ids[:, :5] = 1
            segments = [Segment(1, 1, True, 40, score=0.75, instance=0), Segment(2, 0, False, ids.numel() - 40)]
            yield replace(found, panoptic=Panoptic(ids, segments))


def test_segments_are_written_as_coco_has_them_and_drawn(images, tmp_path):
    predict_files(WithSegments(), images[:2], tmp_path, score_threshold=0.8)
    content = read(tmp_path)
    assert content["stuff"] == [{"label": 0, "name": "sky", "category_id": 20}]
    assert len(content["classes"]) == 2
    found = content["images"][1]["panoptic"]
    assert found["file_name"] == "b.png"
    assert [one["category_id"] for one in found["segments_info"]] == [9, 20]
    assert [one["bbox"] for one in found["segments_info"]] == [[0, 0, 5, 8], [5, 0, 6, 8]]
    ids = np.array(Image.open(tmp_path / "panoptic" / "b.png")).astype(int) @ [1, 256, 65536]
    assert ids.tolist() == [[1] * 5 + [2] * 6] * 8
    assert np.array(Image.open(tmp_path / "draw" / "b.png")).any(axis=-1).all()


def test_ids_become_colors_and_segments_records(tmp_path):
    found = Panoptic(
        torch.tensor([[0, 1], [2, 2]], dtype=torch.int32), [Segment(1, 0, True, 1), Segment(2, 0, False, 2)]
    )
    record = write_segments(tmp_path, "a", found, WithSegments.classes)
    assert np.array(Image.open(tmp_path / "panoptic" / "a.png"))[..., 0].tolist() == [[0, 1], [2, 2]]
    assert record["file_name"] == "a.png"
    assert [(one["id"], one["category_id"], one["isthing"]) for one in record["segments_info"]] == [
        (1, 7, 1),
        (2, 20, 0),
    ]


def test_an_image_without_segments_is_written_too(tmp_path):
    record = write_segments(tmp_path, "a", Panoptic(torch.zeros(2, 3, dtype=torch.int32), []), WithSegments.classes)
    assert record == {"file_name": "a.png", "segments_info": []}
    assert not np.array(Image.open(tmp_path / "panoptic" / "a.png")).any()


def test_the_json_holds_every_object_in_the_image_s_own_pixels(images, tmp_path):
    done = predict_files(Fixed(), images, tmp_path / "new" / "out", score_threshold=0.5, batch_size=2)
    assert done == (3, 3, [], 0.5, None, ())
    content = read(tmp_path / "new" / "out")
    assert content["classes"][1] == {"label": 1, "name": "dust", "category_id": 9}
    assert [one["file"] for one in content["images"]] == list(map(str, images))
    assert [one["size"] for one in content["images"]] == [[8, 10], [8, 11], [8, 12]]
    found = content["images"][0]["objects"][0]
    assert (found["box"], found["label"], found["class"], found["category_id"]) == ([0, 0, 2, 3], 1, "dust", 9)
    assert found["score"] == 0.75
    assert found["mask"]["size"] == [8, 10]
    assert content["failed"] == []


def test_a_mask_can_be_read_by_coco_s_own_tool(images, tmp_path):
    from pycocotools import mask

    predict_files(Fixed(), images[:1], tmp_path, draw=False)
    bitmap = mask.decode(read(tmp_path)["images"][0]["objects"][0]["mask"])
    assert bitmap.sum() == bitmap[:4, :3].sum() == 12  # Detectron's rule pastes the last row and column too


@pytest.mark.parametrize("kind", ["quad", "contour"])
def test_polygons_go_around_masks_or_boxes(images, tmp_path, kind):
    model = Fixed()
    for model.masks, (right, bottom) in ((True, (3, 4)), (False, (2, 3))):
        predict_files(model, images[:1], tmp_path, draw=False, polygons=kind)
        corners = read(tmp_path)["images"][0]["objects"][0]["polygon"]
        assert sorted(corners) == [[0, 0], [0, bottom], [right, 0], [right, bottom]]
    predict_files(model, images[:1], tmp_path)
    assert {"polygon", "mask"}.isdisjoint(read(tmp_path)["images"][0]["objects"][0])


def test_objects_are_drawn_from_the_score_on_that_was_asked_for(images, tmp_path):
    for shown_from, expected in ((0.5, True), (0.8, False)):
        predict_files(Fixed(), images[:1], tmp_path, score_threshold=shown_from)
        assert read(tmp_path)["images"][0]["drawn"] == "draw/a.png"
        assert np.array(Image.open(tmp_path / "draw" / "a.png")).any() == expected


def test_no_images_are_drawn_if_none_are_requested(images, tmp_path):
    predict_files(Fixed(), images, tmp_path, draw=False)
    assert read(tmp_path)["images"][0]["drawn"] is None
    assert not (tmp_path / "draw").exists()
    assert {"stuff", "panoptic"}.isdisjoint({*read(tmp_path), *read(tmp_path)["images"][0]})
    predict_files(WithSegments(), images[:1], tmp_path, draw=False)
    assert (tmp_path / "panoptic" / "a.png").exists()


@pytest.mark.parametrize(("batch_size", "batches"), [(1, [1, 1]), (2, [1, 1]), (3, [2])])
def test_a_broken_image_is_named_and_the_others_go_on(images, tmp_path, batch_size, batches):
    images[0].write_bytes(b"")
    model, counts = Fixed(), []
    done = predict_files(model, images, tmp_path, score_threshold=0.5, batch_size=batch_size, on_progress=counts.append)
    assert (done.images, done.objects) == (2, 2)
    assert [str(images[0]) in message for message in done.failed] == [True]
    content = read(tmp_path)
    assert content["failed"] == [{"file": str(images[0]), "error": done.failed[0]}]
    assert [Path(one["file"]).name for one in content["images"]] == ["b.png", "c.png"]
    assert (model.batches, sum(counts)) == (batches, 3)


def test_no_images_give_an_empty_list(tmp_path):
    assert predict_files(Fixed(), [], tmp_path, score_threshold=0.5) == (0, 0, [], 0.5, None, ())
    assert read(tmp_path)["images"] == []


def test_a_folder_that_cannot_be_written_is_named(images):
    with pytest.raises(DataError, match=r"in/a\.png: "):
        predict_files(Fixed(), images, images[0], score_threshold=0.5)


def test_drawings_of_the_same_name_do_not_overwrite_each_other():
    paths = [Path(words) for words in ("a.png", "x/a.png", "x/A.jpg", "x/a-2.png", "b")]
    names = ["draw/a.png", "draw/a-2.png", "draw/A-3.png", "draw/a-2-2.png", "draw/b.png"]
    assert drawing_names(paths) == names


def test_real_predictions_are_written_as_they_are(tiny_weights, images, tmp_path):
    predictor = Predictor(tiny_weights)
    predict_files(predictor, images, tmp_path, score_threshold=0.15)
    expected = predictor(images[1])
    objects = read(tmp_path)["images"][1]["objects"]
    assert [one["mask"] for one in objects] == expected.to_rle()
    assert [one["box"] for one in objects] == pytest.approx(expected.boxes.numpy(), abs=1e-3)
    assert [one["score"] for one in objects] == pytest.approx(expected.scores.numpy(), abs=1e-6)


MEASURE = """
import resource, torch
from maskrcnn.draw.instances import draw_instances
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import to_rle
from maskrcnn.structures.predicted_masks import SoftMasks

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def handle(count, size):
    torch.manual_seed(0)
    corners = torch.rand(count, 2) * torch.tensor([size[1], size[0]])
    sides = torch.rand(count, 2) * 300 + 20
    boxes = torch.cat([corners - sides / 2, corners + sides / 2], dim=1)
    boxes[:1] = torch.tensor([0.0, 0, size[1], size[0]])
    masks = SoftMasks(torch.full((count, 28, 28), 0.9), boxes, size, "grown")
    found = Instances(size, boxes, torch.zeros(count, dtype=torch.int64), torch.rand(count), masks=masks)
    assert len(to_rle(masks)) == count
    draw_instances(torch.zeros(3, *size, dtype=torch.uint8), found, Classes(("cell",), (1,)), score_threshold=0)

handle(4, (300, 400))
before = peak()
handle(300, (3000, 4000))
print(peak() - before)
"""


def test_300_objects_in_a_large_image_do_not_need_300_full_size_masks():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=ROOT)
    megabytes, full_masks = float(done.stdout), 300 * 3000 * 4000 / 2**20
    assert full_masks > 3400
    assert megabytes < 0.15 * full_masks


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = "a.png b.JPG deep/er/c.tif deep/a.png notes.txt .hidden.png .git/d.png deep/x[1].png"
    for path in map(tmp_path.joinpath, names.split()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["."], ["a.png", "b.JPG", "deep/a.png", "deep/er/c.tif", "deep/x[1].png"]),
        (["deep/er", "a.png"], ["deep/er/c.tif", "a.png"]),
        (["*"], ["a.png", "b.JPG"]),
        (["deep/../*.png"], ["deep/../a.png"]),
        (["**/a.png"], ["a.png", "deep/a.png"]),
        (["deep/x[1].png"], ["deep/x[1].png"]),
        (["notes.txt"], ["notes.txt"]),
        (["a.png", "./a.png", "deep/../a.png"], ["a.png"]),
        ([], []),
    ],
)
def test_files_folders_and_patterns_are_found_once_each_in_order(folder, inputs, expected):
    assert [path.as_posix() for path in find_images(inputs).images] == expected


class Interrupted(Fixed):
    """Is stopped by Ctrl-C at its third image."""

    def predict_all(self, images, *, batch_size):
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        return super().predict_all(images, batch_size=batch_size)


def test_what_was_predicted_before_ctrl_c_is_kept_and_the_rest_can_follow(tmp_path):
    paths = []
    for name in "dcba":
        paths.append(tmp_path / f"{name}.png")
        Image.new("RGB", (8, 6)).save(paths[-1])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    predict_files(Fixed(), paths, whole)
    with pytest.raises(KeyboardInterrupt):
        predict_files(Interrupted(), paths, cut)
    assert len(json.loads((cut / "predictions.json").read_text())["images"]) == 2
    rest = Fixed()
    assert predict_files(rest, paths, cut, resume=True).images == 4
    assert rest.batches == [1, 1]
    assert (cut / "predictions.json").read_text() == (whole / "predictions.json").read_text()
    assert sorted(path.name for path in (cut / "draw").iterdir()) == ["a.png", "b.png", "c.png", "d.png"]


def test_predictions_of_other_classes_are_not_gone_on_with(tmp_path):
    (tmp_path / "predictions.json").write_text('{"classes": [], "images": []}')
    with pytest.raises(DataError, match=r"predictions.json"):
        predict_files(Fixed(), [], tmp_path, resume=True)


def test_two_channels_are_drawn_as_red_and_green():
    pixels = torch.arange(2 * 3 * 4, dtype=torch.uint8).reshape(2, 3, 4)
    rgb = to_rgb(pixels)
    assert torch.equal(rgb[:2], pixels)
    assert not rgb[2].any()


def test_what_was_drawn_before_is_no_input(folder):
    paths = find_images(["deep"], leave_out=[Path("deep/er"), Path("no")]).images
    assert list(map(str, paths)) == ["deep/a.png", "deep/x[1].png"]


@pytest.mark.parametrize(
    "name", ["a.avif", "a.jfif", "a.apng", "a.mpo", "a.pbm", "a.j2k", "a.gif", "A.TIF", "scan.dat"]
)
def test_what_opens_is_found_whatever_its_ending_and_what_does_not_is_named(folder, name):
    form = {"mpo": "JPEG", "dat": "PNG", "jfif": "JPEG", "apng": "PNG", "pbm": "PPM", "j2k": "JPEG2000"}
    Image.new("1" if name == "a.pbm" else "L", (3, 2)).save(folder / "deep" / name, form.get(name[-4:].strip(".")))
    (folder / "deep" / "labels.json").write_text("{}")
    found = find_images(["deep"])
    assert Path("deep", name) in found.images
    assert found.others == [Path("deep/labels.json")]
    assert read_image(folder / "deep" / name).shape == (3, 2, 3)


def test_an_input_that_is_not_there_is_named(folder):
    with pytest.raises(DataError, match=r"^c\.png: "):
        find_images(["a.png", "c.png"])


@pytest.mark.parametrize("words", ["*.gif", "empty", "*.txt"])
def test_an_input_without_images_is_named_with_the_endings_of_images(folder, words):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=rf"^{re.escape(words)}: .*\.bmp"):
        find_images([words])


def image_or_error(path):
    try:
        return read_image(path)
    except DataError as error:
        return error


def test_images_come_in_order_with_errors_in_their_place(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for width, path in enumerate(paths, 1):
        Image.new("RGB", (width, 1)).save(path)
    paths[2].write_bytes(b"no image")
    found = list(read_ahead(paths, image_or_error, count=2))
    assert [path for path, _ in found] == paths
    assert [one.shape[2] if isinstance(one, Tensor) else type(one) for _, one in found] == [1, 2, DataError, 4, 5]


def test_only_so_many_images_are_read_ahead(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1)).save(path)
    asked = []

    def paths():
        for number in range(9):
            asked.append(number)
            yield path

    reading = read_ahead(paths(), image_or_error, count=2)
    next(reading)
    assert asked == [0, 1, 2]
    reading.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
