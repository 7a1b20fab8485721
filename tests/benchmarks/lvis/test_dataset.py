import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import read_records
from tests.builders.lvis import OBJECTS, SQUARE, lay_out


def perfect() -> list[dict]:
    return [
        {"image_id": i, "category_id": c, "score": 0.9, "bbox": box, "segmentation": SQUARE} for i, c, box in OBJECTS
    ]


@pytest.mark.parametrize(("name", "version"), [("lvis", "v1"), ("lvis-v0.5", "v0.5")])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, name, version):
    lay_out(tmp_path, f"lvis_{version}_val.json")
    opened = open_benchmark(name, tmp_path)
    assert opened.counts == {"images": 2, "objects": 3}
    assert opened.truth is None  # COCO's rule would blame detections of classes nobody looked for
    assert [record.path.name for record in opened.dataset().records] == ["000000000005.jpg", "000000000009.jpg"]
    boxes, masks = opened.score(perfect())
    assert [boxes.numbers[key] for key in ("AP", "APr", "APf", "AR@300", "APc")] == [1, 1, 1, 1, None]
    assert masks.numbers["AP"] == 1
    opened.submit(perfect(), tmp_path / "sent.json")
    sent = read_records(tmp_path / "sent.json")
    assert "bbox" not in sent[0]
    assert [section.numbers for section in opened.score(sent)] == [masks.numbers]


def test_a_class_known_to_be_absent_costs_and_an_unknown_one_does_not(tmp_path):
    lay_out(tmp_path, "lvis_v1_val.json")
    score = open_benchmark("lvis", tmp_path).score
    assert score([*perfect(), perfect()[0] | {"category_id": 4, "score": 1.0}])[0].numbers["APf"] == 0.5


def test_saved_results_need_no_images(tmp_path):
    (tmp_path / "annotations").mkdir()
    lay_out(tmp_path, "annotations/lvis_v1_minival.json")
    for place in ("val2017", "train2017"):
        for file in (tmp_path / place).iterdir():
            file.unlink()
    assert open_benchmark("lvis", tmp_path, "minival").score(perfect())[0].numbers["AP"] == 1


def test_of_the_tests_only_the_images_are_known(tmp_path):
    lay_out(tmp_path, "lvis_v1_image_info_test_dev.json")
    opened = open_benchmark("lvis", tmp_path, "test-dev")
    assert not opened.public
    assert opened.counts == {"images": 2}
    assert len(opened.dataset().records) == 2
    opened.submit(perfect(), tmp_path / "sent.json")
    assert len(read_records(tmp_path / "sent.json")) == 3


def test_a_missing_file_is_named_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"lvis_v1_val.json: the file of LVIS's split val is not there. The layout is"):
        open_benchmark("lvis", tmp_path)
