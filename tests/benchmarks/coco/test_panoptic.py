import json

import pytest

from maskrcnn.benchmarks.coco.dataset import CocoPanoptic
from maskrcnn.errors import DataError
from tests.builders.coco_panoptic import write


def score(opened, records):
    return {section.name: section for section in opened.score(records)}


def test_annotated_segments_against_themselves_are_perfect(tmp_path):
    folder = write(tmp_path, images=False)
    opened = CocoPanoptic(folder)
    assert opened.counts == {"images": 1, "objects": 4}
    records = opened.read(folder / "annotations" / "panoptic_val2017.json")
    section = score(opened, records)["panoptic"]
    assert set(section.numbers.values()) == {1}
    assert list(section.numbers)[:4] == ["PQ", "SQ", "RQ", "PQ_th"]
    assert section.per_class["sky-other-merged"] == {"PQ": 1, "SQ": 1, "RQ": 1}


def test_a_missing_segment_halves_what_depends_on_it(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    records = opened.read(tmp_path / "annotations" / "panoptic_val2017.json")
    numbers = score(opened, [record for record in records if record["category_id"] != 1])["panoptic"].numbers
    assert (numbers["PQ"], numbers["PQ_th"], numbers["PQ_st"]) == (pytest.approx(2 / 3), 0.5, 1)


def test_what_is_submitted_is_read_again_with_the_same_scores(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    records = opened.read(tmp_path / "annotations" / "panoptic_val2017.json")[1:]
    opened.submit(records, tmp_path / "panoptic_val2017_mine_results")
    file = tmp_path / "panoptic_val2017_mine_results.json"
    assert json.loads(file.read_text())["annotations"][0]["file_name"] == "000000000724.png"
    assert score(opened, opened.read(file)) == score(opened, records)


def test_images_have_things_and_stuff(tmp_path):
    classes = CocoPanoptic(write(tmp_path)).dataset().classes
    assert (classes.names, classes.stuff, classes.stuff_ids) == (("person", "cat"), ("sky-other-merged",), (187,))


def test_missing_files_name_the_layout(tmp_path):
    with pytest.raises(DataError, match=r"panoptic_val2017.json: the panoptic annotations of COCO's val are not there"):
        CocoPanoptic(tmp_path)
    folder = write(tmp_path)
    (folder / "annotations" / "panoptic_val2017").rename(folder / "panoptic_val2017")
    with pytest.raises(DataError, match=r"belong into the folder .*annotations/panoptic_val2017, but it is not there"):
        CocoPanoptic(folder)


def test_unknown_classes_and_masks_of_another_size_are_errors(tmp_path):
    opened = CocoPanoptic(write(tmp_path))
    mask = {"size": [20, 30], "counts": [600]}
    with pytest.raises(DataError, match="category_id 2 is not one of"):
        score(opened, [{"image_id": 724, "category_id": 2, "score": 1.0, "segmentation": mask}])
    wrong = {"size": [9, 9], "counts": [81]}
    with pytest.raises(DataError, match=r"its mask is of size \[9, 9\]"):
        score(opened, [{"image_id": 724, "category_id": 1, "score": 1.0, "segmentation": wrong}])
