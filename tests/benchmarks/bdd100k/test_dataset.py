import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.bdd100k import encode, lay_out, objects


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


def test_missing_files_are_named_with_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"the instances of BDD100K's val are not there. Unpack BDD100K into"):
        open_benchmark("bdd100k", tmp_path)
    with pytest.raises(DataError, match=r"test: the images of BDD100K's test are not there"):
        open_benchmark("bdd100k", tmp_path, "test")


def test_unknown_images_are_refused(tmp_path):
    opened = open_benchmark("bdd100k", lay_out(tmp_path, "rles"))
    with pytest.raises(DataError, match="record 0: image_id 99 is not among the 2 images"):
        opened.score([{**perfect(opened)[0], "image_id": 99}])
