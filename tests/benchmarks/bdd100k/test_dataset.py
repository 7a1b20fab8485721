import json

import pytest

from maskrcnn.benchmarks.bdd100k.dataset import write_frames
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from tests.builders.bdd100k import lay_out, objects
from tests.builders.scoring import encode

NAMES, CATEGORIES = {1: "a2.jpg", 2: "b1.jpg"}, {1: "pedestrian", 3: "car"}
RECORDS = Results(
    (
        {"image_id": 2, "category_id": 3, "score": 0.5, "segmentation": encode(objects()[0]["mask"])},
        {"image_id": 2, "category_id": 1, "score": 0.25, "segmentation": encode(objects()[1]["mask"])},
    )
)


def perfect(opened) -> list[dict]:
    """The car, the crowd and the ignored truck of the image b1.jpg, found exactly."""
    (image_id,) = [number for number, name in opened.image_names.items() if name == "b1.jpg"]
    categories = {name: number for number, name in opened.truth.categories.items()}
    return [
        {
            "image_id": image_id,
            "category_id": categories[one["category"]],
            "score": 0.9 - 0.1 * number,
            "segmentation": encode(one["mask"]),
        }
        for number, one in enumerate(objects())
    ]


@pytest.mark.parametrize("kind", ["rles", "bitmasks", "polygons"])
def test_the_official_folder_is_scored_by_both_routes(kind, tmp_path):
    opened = open_benchmark("bdd100k", lay_out(tmp_path, kind))
    rle, bitmask = opened.score(perfect(opened))
    assert (rle.name, bitmask.name) == ("rle", "bitmask")
    assert [rle.numbers["AP"], bitmask.numbers["AP"]] == pytest.approx([1, 1])
    assert (rle.per_class["car"]["AP"], rle.per_class["pedestrian"]["AP"]) == (pytest.approx(1), None)
    assert bitmask.per_class["pedestrian"]["AP"] == pytest.approx(1)
    assert opened.counts == {"images": 2, "objects": 3}
    assert len(opened.dataset().records) == 2


def test_predictions_that_overlap_are_painted_by_their_scores(tmp_path):
    opened = open_benchmark("bdd100k", lay_out(tmp_path, "rles"))
    records = perfect(opened)
    twice = [*records, {**records[0], "score": 0.01, "category_id": 8}]
    assert opened.score(twice)[0].numbers == opened.score(records)[0].numbers


def test_what_is_submitted_scores_the_same_when_read(tmp_path):
    opened = open_benchmark("bdd100k", lay_out(tmp_path, "rles"))
    records = [*perfect(opened), {**perfect(opened)[0], "score": 0.02}]
    opened.submit(records, tmp_path / "out" / "results.json")
    read = opened.read(tmp_path / "out" / "results.json")
    assert len(read) == 3
    assert opened.score(read) == opened.score(records)


def test_of_the_test_only_the_images_are_known(tmp_path):
    lay_out(tmp_path, "rles")
    (tmp_path / "images" / "10k" / "val").rename(tmp_path / "images" / "10k" / "test")
    opened = open_benchmark("bdd100k", tmp_path, "test")
    assert (opened.public, opened.truth, opened.counts) == (False, None, {"images": 2})
    assert [record.path.name for record in opened.dataset().records] == ["a2.jpg", "b1.jpg"]
    assert opened.submits


@pytest.fixture
def opened(tmp_path):
    return open_benchmark("bdd100k", lay_out(tmp_path, "rles"))


def label(**change) -> dict:
    return {"id": "1", "category": "car", "score": 0.5, "rle": RECORDS[0]["segmentation"], **change}


def write(path, *labels: dict, name: str = "b1.jpg"):
    path.write_text(json.dumps([{"name": name, "labels": list(labels)}]))
    return path


def test_each_image_has_a_frame_with_names_scores_and_rle(tmp_path):
    write_frames(tmp_path / "new" / "results.json", RECORDS, NAMES, CATEGORIES)
    first, second = json.loads((tmp_path / "new" / "results.json").read_text())
    assert first == {"name": "a2.jpg", "labels": []}
    assert second["name"] == "b1.jpg"
    assert second["labels"][0] == label()
    assert [one["category"] for one in second["labels"]] == ["car", "pedestrian"]


def test_what_was_written_is_read(opened, tmp_path):
    write_frames(tmp_path / "results.json", RECORDS, NAMES, CATEGORIES)
    assert opened.read(tmp_path / "results.json") == RECORDS


def test_other_names_of_categories_are_understood(opened, tmp_path):
    file = write(
        tmp_path / "results.json", label(category="van"), label(category="trailer", rle=RECORDS[1]["segmentation"])
    )
    assert [record["category_id"] for record in opened.read(file)] == [3, 4]


def test_coco_results_are_read_as_they_are(opened, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(list(RECORDS)))
    assert opened.read(tmp_path / "results.json") == RECORDS
    (tmp_path / "results.json").write_text("[]")
    assert opened.read(tmp_path / "results.json") == []


def test_predictions_of_an_image_with_an_overlap_are_left_out_with_a_warning(opened, tmp_path):
    file = write(tmp_path / "results.json", label(), label(category="bus"))
    with pytest.warns(UserWarning, match="1 image.*b1.jpg"):
        assert opened.read(file) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"category": "boat"}, "frame b1.jpg: label '1': `category` 'boat'.*pedestrian, rider"),
        ({"category": None}, "`category`.*None"),
        ({"rle": None}, "label '1'.*`score`.*`rle`"),
        ({"score": 1.5}, "score 1.5"),
        ({"rle": {"counts": "04", "size": [2, 2]}}, r"\[2, 2\]"),
    ],
)
def test_a_label_that_cannot_be_used_is_named(change, problem, opened, tmp_path):
    with pytest.raises(DataError, match=problem):
        opened.read(write(tmp_path / "results.json", label(**change)))


def test_files_that_cannot_be_used_are_named(opened, tmp_path):
    with pytest.raises(DataError, match="frame c.jpg: label '1'"):
        opened.read(write(tmp_path / "results.json", label(), name="c.jpg"))
    (tmp_path / "results.json").write_text(json.dumps([{"name": "b1.jpg"}, {"name": "b1.jpg"}]))
    with pytest.raises(DataError, match="frame 1: `name` 'b1.jpg'"):
        opened.read(tmp_path / "results.json")
