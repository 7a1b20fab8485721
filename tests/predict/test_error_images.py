import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.analysis.faults import find_faults
from maskrcnn.analysis.worst import worst_images
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.draw.error_pages import COLORS
from maskrcnn.errors import DataError
from maskrcnn.predict.error_images import write_error_images
from tests.builders.scoring import parsed

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
                found = {"image_id": image_id, "category_id": 1, "score": 0.9 - n / 10}
                results.append({**found, **box, "keypoints": points})
    content = {
        "images": [{"id": n, "file_name": f"p{n}.png", "width": 80, "height": 60} for n in (1, 2)],
        "categories": [{"id": n, "name": name, "keypoints": KEYPOINTS} for n, name in ((1, "cat"), (2, "dog"))],
        "annotations": objects,
    }
    return content, *parsed(content, [{k: v for k, v in r.items() if k != "area"} for r in results])


def written(tmp_path, kind, content, truth, results):
    import json

    (tmp_path / "truth.json").write_text(json.dumps(content))
    data = read_coco(tmp_path / "truth.json", tmp_path)
    worst = worst_images(truth, find_faults(truth, results, kind), 0.0, 5)
    told = []
    folder = tmp_path / "drawn" / kind
    paths = write_error_images(folder, data, truth, results, worst, kind, 0.0, on_progress=told.append)
    assert sum(told) == len(paths)
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


def test_an_image_that_the_data_set_does_not_have_is_told(tmp_path):
    content, truth, results = dataset(tmp_path)
    few = {**content, "images": content["images"][1:]}
    few["annotations"] = [one for one in content["annotations"] if one["image_id"] == 2]
    with pytest.raises(DataError, match=r"truth.json: has no image 1 to draw. Give the dataset that was scored"):
        written(tmp_path, "bbox", few, truth, results)
