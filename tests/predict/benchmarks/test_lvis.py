import json
from pathlib import Path

import pytest
from PIL import Image

from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import read_results
from maskrcnn.evaluation.sections import say_nothing
from maskrcnn.predict.benchmarks.table import open_benchmark

SQUARE = [[10, 10, 30, 10, 30, 30, 10, 30]]
OBJECTS = [(5, 1, [10, 10, 20, 20]), (9, 1, [10, 10, 20, 20]), (9, 4, [10, 10, 20, 20])]


def lay_out(folder: Path, name: str) -> None:
    images = []
    for image_id, place in ((5, "val2017"), (9, "train2017")):
        (folder / place).mkdir(exist_ok=True)
        Image.new("RGB", (40, 40)).save(folder / place / f"{image_id:012d}.jpg")
        address = f"http://images.cocodataset.org/{place}/{image_id:012d}.jpg"
        known = {"neg_category_ids": [4] if image_id == 5 else [], "not_exhaustive_category_ids": []}
        images.append({"id": image_id, "width": 40, "height": 40, "coco_url": address, **known})
    annotations = [
        {"id": n, "image_id": i, "category_id": c, "bbox": box, "area": 400, "segmentation": SQUARE}
        for n, (i, c, box) in enumerate(OBJECTS, start=1)
    ]
    categories = [{"id": 1, "name": "cup", "frequency": "r"}, {"id": 4, "name": "fig", "frequency": "f"}]
    content = {"images": images, "categories": categories}
    if "test" not in name:
        content["annotations"] = annotations
    (folder / name).write_text(json.dumps(content))


def perfect() -> list[dict]:
    return [
        {"image_id": i, "category_id": c, "score": 0.9, "bbox": box, "segmentation": SQUARE} for i, c, box in OBJECTS
    ]


@pytest.mark.parametrize(("name", "version"), [("lvis", "v1"), ("lvis-v0.5", "v0.5")])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, name, version):
    lay_out(tmp_path, f"lvis_{version}_val.json")
    opened = open_benchmark(name, tmp_path)
    assert opened.counts == {"pictures": 2, "objects": 3}
    assert opened.truth is None  # COCO's rule would blame detections of classes nobody looked for
    assert [record.path.name for record in opened.pictures().records] == ["000000000005.jpg", "000000000009.jpg"]
    boxes, masks = opened.score(perfect(), say_nothing)
    assert [boxes.numbers[key] for key in ("AP", "APr", "APf", "AR@300", "APc")] == [1, 1, 1, 1, None]
    assert masks.numbers["AP"] == 1
    opened.submit(perfect(), tmp_path / "sent.json")
    sent = read_results(tmp_path / "sent.json")
    assert "bbox" not in sent[0]
    assert [section.numbers for section in opened.score(sent, say_nothing)] == [masks.numbers]


def test_a_class_known_to_be_absent_costs_and_an_unknown_one_does_not(tmp_path):
    lay_out(tmp_path, "lvis_v1_val.json")
    score = open_benchmark("lvis", tmp_path).score
    assert score([*perfect(), perfect()[0] | {"category_id": 4, "score": 1.0}], say_nothing)[0].numbers["APf"] == 0.5


def test_saved_results_need_no_pictures(tmp_path):
    (tmp_path / "annotations").mkdir()
    lay_out(tmp_path, "annotations/lvis_v1_minival.json")
    for place in ("val2017", "train2017"):
        for file in (tmp_path / place).iterdir():
            file.unlink()
    assert open_benchmark("lvis", tmp_path, "minival").score(perfect(), say_nothing)[0].numbers["AP"] == 1


def test_of_the_tests_only_the_pictures_are_known(tmp_path):
    lay_out(tmp_path, "lvis_v1_image_info_test_dev.json")
    opened = open_benchmark("lvis", tmp_path, "test-dev")
    assert opened.score is None
    assert opened.counts == {"pictures": 2}
    assert len(opened.pictures().records) == 2
    opened.submit(perfect(), tmp_path / "sent.json")
    assert len(read_results(tmp_path / "sent.json")) == 3


def test_a_missing_file_is_named_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"lvis_v1_val.json: the file of LVIS's split val is not there. The layout is"):
        open_benchmark("lvis", tmp_path)
