import json
import zipfile

import pytest

from maskrcnn.benchmarks.coco import CocoPanoptic, read_lists, write_lists
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.classes import COCO_PERSON
from tests.builders.coco import FOUND, POINTS, lay_out
from tests.builders.coco_panoptic import write
from tests.builders.scoring import sections

NAMES = {"bbox": "detections_val2017_x-bbox_results", "segm": "detections_val2017_x-segm_results"}
MASK = {"size": [2, 2], "counts": "04"}
RECORDS = Results(
    (
        {"image_id": 1, "category_id": 2, "score": 0.5, "bbox": [0, 0, 2, 2], "segmentation": MASK},
        {"image_id": 1, "category_id": 2, "score": 0.5, "bbox": [0, 0, 1, 2], "segmentation": MASK},
    )
)


def perfect(iou_type: str) -> list[dict]:
    fields = {"coco-keypoints": {"keypoints": POINTS}}.get(iou_type, {})
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


def test_a_submission_is_no_file(tmp_path):
    opened = open_benchmark("coco", lay_out(tmp_path), "test-dev")
    with pytest.raises(SettingError, match="out.zip.*-bbox_results.zip"):
        opened.submit(perfect("coco"), tmp_path / "out.zip")


def test_an_annotation_file_of_ones_own_is_scored_by_the_same_rules(tmp_path):
    file = lay_out(tmp_path) / "annotations" / "instances_val2017.json"
    opened = open_benchmark("coco-boundary", file)
    sections = opened.score(perfect("segm"))
    assert {section.name: section.numbers["AP"] for section in sections} == {"segm": 1, "boundary": 1}
    assert len(opened.dataset().records) == opened.counts["images"]
    assert opened.submits is None


def test_annotated_segments_against_themselves_are_perfect(tmp_path):
    folder = write(tmp_path, images=False)
    opened = CocoPanoptic(folder)
    assert opened.counts == {"images": 1, "objects": 4}
    records = opened.read(folder / "annotations" / "panoptic_val2017.json")
    section = sections(opened, records)["panoptic"]
    assert set(section.numbers.values()) == {1}
    assert list(section.numbers)[:4] == ["PQ", "SQ", "RQ", "PQ_th"]
    assert section.per_class["sky-other-merged"] == {"PQ": 1, "SQ": 1, "RQ": 1}


def test_a_missing_segment_halves_what_depends_on_it(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    records = opened.read(tmp_path / "annotations" / "panoptic_val2017.json")
    numbers = sections(opened, [record for record in records if record["category_id"] != 1])["panoptic"].numbers
    assert (numbers["PQ"], numbers["PQ_th"], numbers["PQ_st"]) == (pytest.approx(2 / 3), 0.5, 1)


def test_what_is_submitted_is_read_again_with_the_same_scores(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    records = opened.read(tmp_path / "annotations" / "panoptic_val2017.json")[1:]
    opened.submit(records, tmp_path / "panoptic_val2017_mine_results")
    file = tmp_path / "panoptic_val2017_mine_results.json"
    assert json.loads(file.read_text())["annotations"][0]["file_name"] == "000000000724.png"
    assert sections(opened, opened.read(file)) == sections(opened, records)


def test_images_have_things_and_stuff(tmp_path):
    classes = CocoPanoptic(write(tmp_path)).dataset().classes
    assert (classes.names, classes.stuff, classes.stuff_ids) == (("person", "cat"), ("sky-other-merged",), (187,))


def test_missing_files_name_the_layout(tmp_path):
    folder = write(tmp_path)
    (folder / "annotations" / "panoptic_val2017").rename(folder / "panoptic_val2017")
    with pytest.raises(DataError, match="annotations/panoptic_val2017"):
        CocoPanoptic(folder)


def test_unknown_classes_and_masks_of_another_size_are_errors(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    mask = {"size": [20, 30], "counts": [600]}
    with pytest.raises(DataError, match="category_id 2"):
        sections(opened, [{"image_id": 724, "category_id": 2, "score": 1.0, "segmentation": mask}])
    wrong = {"size": [9, 9], "counts": [81]}
    with pytest.raises(DataError, match=r"\[9, 9\]"):
        sections(opened, [{"image_id": 724, "category_id": 1, "score": 1.0, "segmentation": wrong}])


def test_each_list_is_a_zip_file_with_a_json_file_of_the_same_name(tmp_path):
    write_lists(tmp_path / "a" / "b", RECORDS, NAMES)
    for iou_type, field in (("bbox", "bbox"), ("segm", "segmentation")):
        with zipfile.ZipFile(tmp_path / "a" / "b" / f"{NAMES[iou_type]}.zip") as archive:
            assert archive.namelist() == [f"{NAMES[iou_type]}.json"]
            records = json.loads(archive.read(f"{NAMES[iou_type]}.json"))
        assert [sorted(one) for one in records] == 2 * [sorted(["image_id", "category_id", "score", field])]
    assert read_lists(tmp_path / "a" / "b") == RECORDS


def test_lists_of_other_objects_come_one_after_the_other(tmp_path):
    write_lists(tmp_path, RECORDS[:1], {"bbox": "a_results"})
    write_lists(tmp_path, RECORDS, {"segm": "b_results"})
    read = read_lists(tmp_path)
    assert [sorted(one)[0] for one in read] == ["bbox", "category_id", "category_id"]


def test_a_kind_that_was_not_predicted_has_no_file_and_nothing_predicted_is_empty_lists(tmp_path):
    write_lists(tmp_path / "boxes", Results(({**RECORDS[0], "segmentation": None},)), NAMES)
    assert [path.name for path in (tmp_path / "boxes").iterdir()] == [f"{NAMES['bbox']}.zip"]
    write_lists(tmp_path / "nothing", Results(()), NAMES)
    assert len(list((tmp_path / "nothing").iterdir())) == 2
    assert read_lists(tmp_path / "nothing") == []


def test_one_file_packed_or_not_is_enough_and_none_is_read_twice(tmp_path):
    write_lists(tmp_path, RECORDS, {"bbox": "a_results"})
    boxes = [{key: value for key, value in one.items() if key != "segmentation"} for one in RECORDS]
    (tmp_path / "a_results.json").write_text(json.dumps(boxes))
    for path in (tmp_path, tmp_path / "a_results.zip", tmp_path / "a_results.json"):
        assert read_lists(path) == boxes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "a_results.zip"),
        ({}, "a_results.zip"),
        ({"a_results.json": "[{"}, "a_results.zip: a_results.json"),
        ({"a_results.json": "{}"}, "a_results.zip: a_results.json"),
        ({"a_results.json": "[3]"}, "a_results.zip: a_results.json"),
    ],
)
def test_a_broken_file_is_named(content, problem, tmp_path):
    file = tmp_path / "a_results.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    with pytest.raises(DataError, match=problem):
        read_lists(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        read_lists(tmp_path)
