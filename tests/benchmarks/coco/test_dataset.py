import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError, SettingError
from maskrcnn.structures.classes import COCO_PERSON
from tests.builders.coco import FOUND, POINTS, lay_out


def perfect(kind: str) -> list[dict]:
    fields = {"coco-keypoints": {"keypoints": POINTS}}.get(kind, {})
    return [{**FOUND, "image_id": image_id, **fields} for image_id in (139, 285)]


@pytest.mark.parametrize("split", ["val", "minival"])
@pytest.mark.parametrize(
    ("name", "sections"),
    [("coco", ["bbox", "segm"]), ("coco-keypoints", ["keypoints"]), ("coco-boundary", ["segm", "boundary"])],
)
def test_the_official_folder_is_scored_and_its_images_are_read(name, sections, split, tmp_path):
    opened = open_benchmark(name, lay_out(tmp_path), split)
    found = opened.score(perfect(name))
    assert [section.name for section in found] == sections
    assert [section.numbers["AP"] for section in found] == pytest.approx([1] * len(sections))
    assert opened.counts == {"images": 2, "objects": 2}
    assert opened.truth is not None
    data = opened.dataset()
    assert [record.path.is_file() for record in data.records] == [True, True]
    assert (data.classes.keypoint_schema is not None) == (name == "coco-keypoints")


@pytest.mark.parametrize("name", ["coco", "coco-keypoints"])
@pytest.mark.parametrize("split", ["test-dev", "test-challenge"])
def test_of_the_tests_only_the_images_are_known(name, split, tmp_path):
    opened = open_benchmark(name, lay_out(tmp_path), split)
    assert (opened.public, opened.truth, opened.counts) == (False, None, {"images": 2})
    data = opened.dataset()
    assert [record.image_id for record in data.records] == [139, 285]
    assert [len(record.instances) for record in data.records] == [0, 0]
    if name == "coco-keypoints":
        assert (data.classes.names, data.classes.keypoint_schema) == (("person",), COCO_PERSON)
    else:
        assert data.classes.category_ids == (1, 90)


def test_a_submission_is_a_folder_with_the_servers_two_files(tmp_path):
    opened = open_benchmark("coco", lay_out(tmp_path), "test-dev")
    opened.submit(perfect("coco"), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "detections_test-dev2017_maskrcnn-bbox_results.zip",
        "detections_test-dev2017_maskrcnn-segm_results.zip",
    ]
    keypoints = open_benchmark("coco-keypoints", tmp_path, "test-challenge")
    keypoints.submit(perfect("coco-keypoints"), tmp_path / "people")
    (file,) = (tmp_path / "people").iterdir()
    assert file.name == "person_keypoints_test-challenge2017_maskrcnn_results.zip"
    assert opened.submits
    assert open_benchmark("coco-boundary", tmp_path).submits is None


@pytest.mark.parametrize("name", ["coco", "coco-keypoints"])
def test_what_was_submitted_scores_the_same_when_read(name, tmp_path):
    opened = open_benchmark(name, lay_out(tmp_path))
    records = [*perfect(name)[:1], {**perfect(name)[1], "score": 0.3}, {**perfect(name)[0], "score": 0.1}]
    opened.submit(records, tmp_path / "out")
    read = opened.read(tmp_path / "out")
    assert opened.score(read) == opened.score(records)
    assert len(read) == 3


def test_unknown_images_are_not_submitted(tmp_path):
    opened = open_benchmark("coco", lay_out(tmp_path), "test-dev")
    with pytest.raises(
        DataError, match=r"record 0: image_id 1 is not among the 2 images.*image_info_test-dev2017.json"
    ):
        opened.submit([{**FOUND, "image_id": 1}], tmp_path / "out")
    with pytest.raises(SettingError, match=r"out.zip: COCO's servers take each of .*-bbox_results.zip, .*a folder"):
        opened.submit(perfect("coco"), tmp_path / "out.zip")


@pytest.mark.parametrize(
    ("name", "split", "file"),
    [
        ("coco", "val", "instances_val2017.json"),
        ("coco", "minival", "instances_minival2014.json"),
        ("coco", "test-dev", "image_info_test-dev2017.json"),
        ("coco-keypoints", "val", "person_keypoints_val2017.json"),
    ],
)
def test_a_missing_file_is_named_with_the_split_and_the_layout(name, split, file, tmp_path):
    with pytest.raises(
        DataError, match=rf"{file}: the annotation file of COCO's {split} is not there.*holds annotations/"
    ):
        open_benchmark(name, tmp_path, split)
    with pytest.raises(SettingError, match="--split train: coco has val, minival, test-dev, test-challenge"):
        open_benchmark("coco", tmp_path, "train")


def test_an_annotation_file_of_ones_own_is_scored_by_the_same_rules(tmp_path):
    file = lay_out(tmp_path) / "annotations" / "instances_val2017.json"
    opened = open_benchmark("coco-boundary", file)
    sections = opened.score(perfect("segm"))
    assert {section.name: section.numbers["AP"] for section in sections} == {"segm": 1, "boundary": 1}
    assert len(opened.dataset().records) == opened.counts["images"]
    assert opened.submits is None
