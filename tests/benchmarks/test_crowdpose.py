from pathlib import Path

import numpy as np
import pytest

from maskrcnn.benchmarks.crowdpose import crowdpose_sections, crowdpose_truth
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.classes import CROWDPOSE_PERSON
from tests.builders.crowdpose import crowdpose, found, lay_out
from tests.builders.vectors import load_vector, number, vector_files


def test_perfect_keypoints_score_one(tmp_path: Path):
    opened = open_benchmark("crowdpose", lay_out(tmp_path))
    (section,) = opened.score([found(7), found(8)])
    assert {name: value for name, value in section.numbers.items() if name != "AP_medium"} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_easy", "AP_hard"), 1
    )
    assert section.numbers["AP_medium"] == -1
    assert opened.counts == {"images": 2, "objects": 2}


def test_the_folder_is_a_data_set_to_train_on_though_it_has_no_areas(tmp_path: Path):
    data = read_dataset(lay_out(tmp_path, "train"), "train")
    assert data.classes.keypoint_count == 14
    assert data.records[0].instances.boxes.tolist() == [[10, 20, 50, 70]]
    assert data.records[0].instances.keypoints is not None


def test_predictions_without_keypoints_are_refused(tmp_path: Path):
    opened = open_benchmark("crowdpose", lay_out(tmp_path))
    record = {"image_id": 7, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}
    with pytest.raises(DataError, match="`keypoints`"):
        opened.score([record])


def test_an_image_without_a_crowd_index_is_named(tmp_path: Path):
    images = [{"id": 7, "width": 100, "height": 80, "file_name": "7.jpg"}]
    with pytest.raises(DataError, match="image 7 .*crowdIndex None"):
        open_benchmark("crowdpose", lay_out(tmp_path, images=images, annotations=[]))


def scores(content: dict, results: list[dict]) -> dict:
    crowd_index = {image["id"]: image["crowdIndex"] for image in content["images"]}
    truth = crowdpose_truth(Annotations.parse(content))
    (section,) = crowdpose_sections(truth, crowd_index, Results.parse(results, truth))
    return dict(section.numbers)


@pytest.mark.parametrize("path", vector_files("crowdpose"))
def test_equals_the_official_evaluator(path: Path):
    vector = load_vector(path)
    numbers = scores(vector["input"]["gt"], vector["input"]["dt"])
    levels = {"AP_easy", "AP_medium", "AP_hard"}
    assert numbers.keys() == vector["expected"].keys()
    for name, expected in vector["expected"].items():
        assert numbers[name] == pytest.approx(number(expected), abs=1e-4 if name in levels else 1e-9), name


def test_the_area_is_a_part_of_the_box_whatever_the_file_says():
    content = crowdpose(0)
    content["annotations"][0]["area"] = 1.0
    truth = crowdpose_truth(Annotations.parse(content))
    assert truth.objects[0]["area"] == pytest.approx(0.53 * 40 * 50)
    assert truth.keypoint_schema == CROWDPOSE_PERSON


def test_similarity_by_hand():
    # Every keypoint is 6 px off; with the whole box as area, the similarity would be 0.702.
    sigmas = np.array(CROWDPOSE_PERSON.sigmas)
    similarity = np.exp(-36 / (2 * 0.53 * 40 * 50 * (2 * sigmas) ** 2)).mean()
    assert similarity == pytest.approx(0.519, abs=1e-3)
    assert scores(crowdpose(0), [found(7, shift=6)])["AP"] == pytest.approx(
        (np.arange(50, 100, 5) <= 100 * similarity).mean()
    )


def test_a_crowd_index_on_the_edge_belongs_to_the_higher_level():
    numbers = scores(crowdpose(0.1999, 0.2, 0.8, 3.0), [found(7), found(9), found(10)])
    assert (numbers["AP_easy"], numbers["AP_medium"], numbers["AP_hard"]) == (1, 0, 1)
    assert numbers["AR50"] == 0.75


def test_a_level_without_people_is_undefined():
    content = crowdpose(0.1, 0.5)
    content["annotations"].pop()
    numbers = scores(content, [found(7), found(8, score=0.1)])
    assert (numbers["AP_easy"], numbers["AP_medium"], numbers["AP_hard"]) == (1, -1, -1)


def test_nothing_found_and_nothing_to_find():
    assert set(scores(crowdpose(0.1, 0.3, 0.9), []).values()) == {0.0}
    assert set(scores(crowdpose(), []).values()) == {-1.0}


def test_results_with_other_keypoints_are_refused():
    with pytest.raises(DataError, match="record 0: keypoints .*42"):
        scores(crowdpose(0), [{**found(7), "keypoints": [1.0] * 51}])
