import json

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.analysis.faults import find_faults
from maskrcnn.analysis.worst import worst_images
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.draw.error_pages import COLORS
from maskrcnn.errors import DataError
from maskrcnn.evaluation.report import Report, score_results
from maskrcnn.predict.error_images import analyze_report, write_error_images
from tests.builders.scoring import found, parsed, truth_of

CAT, DOG = 1, 2
BOX, APART = [0, 0, 20, 10], [50, 50, 20, 10]
OBJECTS = [(1, CAT, BOX, 0), (2, CAT, BOX, 0), (2, DOG, APART, 0)]
RECORDS = [found(1, CAT, BOX, 0.9), found(2, DOG, BOX, 0.8)]
KEYPOINTS = ["left_eye", "right_eye", "nose"]


def polygon(x, y, side):
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def dataset(tmp_path):
    """Two images of 80 x 60 with a cat, a dog and a crowd, and predictions with several errors."""
    objects, results = [], []
    for image_id in (1, 2):
        Image.fromarray(np.zeros((60, 80, 3), dtype=np.uint8)).save(tmp_path / f"p{image_id}.png")
        for n, (category, x, crowd) in enumerate([(1, 5, 0), (2, 30, 0), (2, 55, 1)]):
            known = {"id": 10 * image_id + n, "image_id": image_id, "category_id": category, "iscrowd": crowd}
            points = [x + 5, 15, 2, x + 10, 15, 2, x + 8, 20, 2] if not crowd else [0] * 9
            box = {"bbox": [x, 10, 20, 20], "area": 400, "segmentation": polygon(x, 10, 20)}
            objects.append({**known, **box, "keypoints": points, "num_keypoints": 0 if crowd else 3})
            if n == 1 or image_id == 2:
                detection = {"image_id": image_id, "category_id": 1, "score": 0.9 - n / 10}
                results.append({**detection, **box, "keypoints": points})
    content = {
        "images": [{"id": n, "file_name": f"p{n}.png", "width": 80, "height": 60} for n in (1, 2)],
        "categories": [{"id": n, "name": name, "keypoints": KEYPOINTS} for n, name in ((1, "cat"), (2, "dog"))],
        "annotations": objects,
    }
    return content, *parsed(content, [{k: v for k, v in r.items() if k != "area"} for r in results])


def written(tmp_path, kind, content, truth, results):
    (tmp_path / "truth.json").write_text(json.dumps(content))
    data = read_coco(tmp_path / "truth.json", tmp_path)
    worst = worst_images(truth, find_faults(truth, results, kind), 0.0, 5)
    counts = []
    folder = tmp_path / "drawn" / kind
    paths = write_error_images(folder, data, truth, results, worst, kind, 0.0, on_progress=counts.append)
    assert sum(counts) == len(paths)
    return paths


def colors_in(path, side="both"):
    image = torch.from_numpy(np.array(Image.open(path)))
    image = image[:, : image.shape[1] // 2] if side == "left" else image
    return {name for name, color in COLORS.items() if (image == torch.tensor(color)).all(dim=-1).sum() > 300}


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_the_worst_images_and_an_index_are_drawn(tmp_path, kind):
    paths = written(tmp_path, kind, *dataset(tmp_path))
    assert [path.name for path in paths] == ["001-p1.png", "002-p2.png"]
    assert Image.open(paths[0].parent / "index.png").width > 500
    assert {"missed", "classification"} <= colors_in(paths[0])
    assert {"right", "classification"} <= colors_in(paths[1])
    assert "missed" not in colors_in(paths[1])


def test_an_object_that_is_found_is_right_whatever_else_is_meant_for_it(tmp_path):
    content, truth, results = dataset(tmp_path)
    beside = {"image_id": 2, "category_id": 1, "score": 0.95, "bbox": [17, 10, 20, 20]}
    paths = written(tmp_path, "bbox", content, truth, [*results, beside])
    assert "localization" in colors_in(paths[0])
    assert "right" in colors_in(paths[0], "left")
    assert "localization" not in colors_in(paths[0], "left")


def test_results_without_boxes_have_one_around_their_keypoints(tmp_path):
    content, truth, results = dataset(tmp_path)
    bare = [{name: value for name, value in one.items() if name not in ("bbox", "segmentation")} for one in results]
    assert "classification" in colors_in(written(tmp_path, "keypoints", content, truth, bare)[0])


def test_without_errors_nothing_is_written(tmp_path):
    content, truth, _ = dataset(tmp_path)
    perfect = [{**one, "score": 0.9} for one in truth.objects if not one["iscrowd"]]
    assert written(tmp_path, "segm", content, *parsed(truth, perfect)) == []
    assert not (tmp_path / "drawn").exists()


def test_an_image_that_the_dataset_does_not_have_is_named(tmp_path):
    content, truth, results = dataset(tmp_path)
    few = {**content, "images": content["images"][1:]}
    few["annotations"] = [one for one in content["annotations"] if one["image_id"] == 2]
    with pytest.raises(DataError, match=r"truth\.json: .* image 1 "):
        written(tmp_path, "bbox", few, truth, results)


def report_of(truth, *records) -> Report:
    return score_results(*parsed(truth, records))


def test_kinds_of_errors_and_the_worst_images_are_reported():
    analyzed = analyze_report(report_of(truth_of(*OBJECTS, count=2), *RECORDS), names={2: "two.png"})
    assert json.loads(json.dumps(analyzed.facts, allow_nan=False)) == analyzed.facts
    assert analyzed.facts["errors"]["bbox"]["all"]["counts"]["classification"] == 1
    # The best F1 is that of the first detection alone, so that the second is not looked at.
    worst = {"image_id": 2, "image": "two.png", "errors": 2, "what": "missed 2 (class 1, class 2)"}
    assert analyzed.facts["worst_images"] == [worst]
    assert len(analyzed.tables) == 2


@pytest.mark.parametrize(("objects", "count"), [((), 0), (OBJECTS, 2)], ids=["no annotation", "no prediction"])
def test_nothing_predicted_or_annotated_can_be_analyzed(objects, count):
    facts = analyze_report(report_of(truth_of(*objects, count=count))).facts
    assert set(facts["errors"]) == {"bbox"}
    assert len(facts["worst_images"]) == count


def test_masks_are_not_analyzed_by_boxes():
    mask = {"segmentation": [[0, 0, 20, 0, 20, 10, 0, 10]]}
    records, truth = [record | mask for record in RECORDS], truth_of(*OBJECTS, count=2)
    assert set(analyze_report(report_of(truth, *records)).facts["errors"]) == {"bbox"}
    truth.objects[0] |= mask
    assert set(analyze_report(report_of(truth, *records)).facts["errors"]) == {"bbox", "segm"}


def test_the_worst_images_are_listed_with_their_drawings(tmp_path):
    content, truth, results = dataset(tmp_path)
    (tmp_path / "truth.json").write_text(json.dumps(content))
    folder = tmp_path / "drawn"
    report = score_results(truth, results)
    listed = analyze_report(report, lambda: read_coco(tmp_path / "truth.json", tmp_path), folder=folder).facts
    files = [(one["image"], one["drawing"]) for one in listed["worst_images"]]
    assert files == [(f"p{n}.png", str(folder / f"00{n}-p{n}.png")) for n in (1, 2)]
    assert sorted(path.name for path in folder.iterdir()) == ["001-p1.png", "002-p2.png", "index.png"]
