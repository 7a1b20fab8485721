import pytest
from PIL import Image

from maskrcnn.benchmarks.isaid.dataset import CLASSES
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import read_records
from tests.builders.isaid import PATCHES, POLYGON, lay_out


def perfect() -> list[dict]:
    square = {"score": 0.9, "bbox": [10, 10, 20, 20], "segmentation": POLYGON}
    return [{"image_id": n, "category_id": category, **square} for n, category in enumerate((9, 1))]


@pytest.mark.parametrize("name", ["instancesonly_filtered_val.json", "instance_only_filtered_val.json"])
@pytest.mark.parametrize("inside", [".", "iSAID_patches"])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, name, inside):
    lay_out(tmp_path / inside, "val", name)
    opened = open_benchmark("isaid", tmp_path)
    assert opened.counts == {"images": 3, "objects": 2}
    data = opened.dataset()
    assert [record.path.name for record in data.records] == PATCHES
    assert (data.classes.names, data.classes.category_ids) == (("ship", "Small_Vehicle"), (1, 9))
    boxes, masks = opened.score(perfect())
    assert (boxes.numbers["AP"], masks.numbers["AR1000"]) == (pytest.approx(1), 1)
    opened.submit(perfect(), tmp_path / "sent.json")
    assert opened.score(read_records(tmp_path / "sent.json"))[0].numbers == masks.numbers
    assert opened.max_detections == 1000


def test_the_images_of_the_test_are_numbered_as_the_devkit_does(tmp_path):
    lay_out(tmp_path, "test", None)
    Image.new("RGB", (80, 80)).save(tmp_path / "test" / "images" / "P0003_0_800_1200_2000.png")
    opened = open_benchmark("isaid", tmp_path, "test")
    data = opened.dataset()
    names = ["P0003.png", "P0003_0_800_600_1400.png", "P0003_0_800_1200_2000.png", "P0004_0_800_600_1400.png"]
    assert [(record.image_id, record.path.name) for record in data.records] == list(enumerate(names))
    assert opened.image_names == dict(enumerate(names))
    assert data.classes.names == CLASSES
    assert (len(CLASSES), CLASSES[8], opened.public) == (15, "Small_Vehicle", False)
    opened.submit(perfect(), tmp_path / "sent.json")
    assert [record["image_id"] for record in read_records(tmp_path / "sent.json")] == [0, 1]


def test_a_file_with_the_images_of_the_test_gives_the_ids(tmp_path):
    lay_out(tmp_path, "test", "instancesonly_filtered_test.json")
    opened = open_benchmark("isaid", tmp_path, "test")
    assert opened.counts == {"images": 3}
    assert not opened.public
    assert len(opened.dataset().records) == 3


def test_missing_files_are_named_with_the_layout(tmp_path):
    with pytest.raises(
        DataError, match=r"instancesonly_filtered_val.json: the annotation file of iSAID's split val is"
    ):
        open_benchmark("isaid", tmp_path)
    with pytest.raises(DataError, match=r"images: has no images \(\*.png\) of iSAID's split test. The layout is"):
        open_benchmark("isaid", tmp_path, "test")
