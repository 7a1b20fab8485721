from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from maskrcnn.benchmarks.mhp.dataset import parse_parts, part_map, whole_person
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.readers import mhp
from maskrcnn.errors import DataError
from tests.builders.mhp import ANNA, BERT, SIZE, found, lay_out, person
from tests.builders.scoring import numbers


def test_perfect_people_score_one(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA, BERT], "2": [BERT]}))
    scores = numbers(opened, [found(1, ANNA), found(1, BERT, 0.8), found(2, BERT, 0.7)])
    assert scores["parts"] == {"AP_p_0_5": 1, "AP_p_vol": 1, "PCP_0_5": 1}
    assert scores["persons"]["AP"] == 1
    assert opened.counts == {"images": 2, "objects": 3}
    assert [record.path.name for record in opened.dataset().records] == ["1.jpg", "2.jpg"]


def test_each_map_of_parts_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decoded, read = [], mhp.read_parts
    monkeypatch.setattr(mhp, "read_parts", lambda file: decoded.append(file.name) or read(file))
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA, BERT]}))
    assert numbers(opened, [found(1, ANNA), found(1, BERT, 0.8)])["parts"]["PCP_0_5"] == 1
    assert sorted(decoded) == ["1_02_01.png", "1_02_02.png"]


def test_parts_of_the_wrong_kind_are_still_whole_people(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    scores = numbers(opened, [found(1, np.where(ANNA == 3, 4, ANNA).astype(np.uint8))])
    # Background and part 12 fit, 3 and 4 do not: mean IoU 0.5, which is not above 0.5.
    assert scores["parts"]["AP_p_0_5"] == 0
    assert scores["parts"]["AP_p_vol"] == pytest.approx(4 / 9)
    assert scores["persons"]["AP"] == 1


def test_people_without_parts_are_scored_as_whole_people_only(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA, BERT]}))
    records = [{key: value for key, value in found(1, ANNA).items() if key != "parts"}]
    scores = numbers(opened, records)
    assert scores.keys() == {"persons"}
    assert scores["persons"]["AR100"] == 0.5
    with pytest.raises(DataError, match="record 1 .*`parts`"):
        numbers(opened, [found(1, ANNA), *records])
    with pytest.raises(DataError, match="record 0 .*`parts`"):
        opened.submit(records, tmp_path / "a.zip")
    assert numbers(opened, [])["parts"] == {"AP_p_0_5": 0, "AP_p_vol": 0, "PCP_0_5": 0}


def test_boxes_alone_are_refused(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    with pytest.raises(DataError, match="`segmentation`.*`parts`"):
        numbers(opened, [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}])


def test_a_mask_may_be_left_to_the_parts(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    record = {**found(1, ANNA), "segmentation": None, "bbox": [2, 2, 6, 14]}
    assert numbers(opened, [record])["persons"]["AP"] == 1


def test_a_test_split_without_maps_can_only_be_submitted(tmp_path: Path):
    folder = lay_out(tmp_path, {"1": []}, "test", "test_all")
    (folder / "test" / "parsing_annos").rmdir()
    opened = open_benchmark("mhp", folder, "test_all")
    assert not opened.public
    assert opened.submits
    opened.submit([found(1, ANNA)], tmp_path / "a.zip")
    assert (tmp_path / "a.zip").is_file()


def test_what_is_submitted_scores_the_same(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA, BERT], "2": [BERT], "3": []}))
    wrong = person((0, 0, 9, 9), (12, 2, 16, 12), parts=(5, 34))
    records = [found(1, BERT, 0.6), found(1, wrong, 0.123456789), found(2, BERT, 0.7)]
    assert opened.submits
    opened.submit(records, tmp_path / "results.zip")
    again = opened.read(tmp_path / "results.zip")
    assert numbers(opened, list(again)) == numbers(opened, records)
    assert [(record["image_id"], record["score"]) for record in again] == [(1, 0.6), (1, 0.123456789), (2, 0.7)]
    assert again[1]["bbox"] == [0, 0, 16, 12]


def test_in_a_submission_pixels_belong_to_the_best(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    whole = person((0, 0, 30, 20), parts=(7,))
    assert opened.submits
    opened.submit([found(1, whole, 0.5), found(1, ANNA, 0.9)], tmp_path / "a.zip")
    best, below = opened.read(tmp_path / "a.zip")
    assert np.array_equal(part_map(best, SIZE), ANNA)
    assert np.array_equal(part_map(below, SIZE), np.where(ANNA, 0, 7))


def test_more_people_than_a_byte_holds(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    places = [(number % 30, number // 30) for number in range(300)]
    people = [found(1, person((x, y, x + 1, y + 1)), 0.9 - x / 100 - y / 1000) for x, y in places]
    assert opened.submits
    opened.submit(people, tmp_path / "a.zip")
    assert len(opened.read(tmp_path / "a.zip")) == 300


def write_results(root: Path, lines: str, tags: np.ndarray, parts: np.ndarray) -> Path:
    for folder in ("global_tag", "global_seg"):
        (root / "r" / folder).mkdir(parents=True, exist_ok=True)
    (root / "r" / "results.txt").write_text(lines)
    Image.fromarray(tags).save(root / "r" / "global_tag" / "1.png")
    Image.fromarray(parts).save(root / "r" / "global_seg" / "1.png")
    return root / "r"


def test_the_official_format_is_read_as_its_script_does(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA, BERT]}))
    tags = np.where(ANNA, 5, np.where(BERT, 2, 0)).astype(np.uint8)
    tags[0] = 9
    # Person 3 has no pixel and is left out, 9 has no part and stays; other splits' images are left out.
    folder = write_results(tmp_path, "1 2 0.5 3 0.4 5 0.75 9 0.1\n\nother 1 0.5\n", tags, ANNA + BERT)
    records = opened.read(folder)
    assert [(record["score"], sorted(record["parts"])) for record in records] == [
        (0.5, [34]),
        (0.75, [3, 12]),
        (0.1, []),
    ]
    assert numbers(opened, list(records))["parts"]["AP_p_0_5"] == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("2 1 0.5\n", "results.txt: .*1 of 1"),
        ("1 1\n", "results.txt: line 1: '1 1'"),
        ("1 0 0.5\n", "line 1: '1 0 0.5'"),
        ("1 1 0.5\n1 2 0.5\n", "line 2: 1"),
    ],
)
def test_broken_lists_of_results_name_the_line(tmp_path: Path, lines: str, message: str):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    with pytest.raises(DataError, match=message):
        opened.read(write_results(tmp_path, lines, ANNA, ANNA))


def test_broken_maps_of_results_are_named(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    with pytest.raises(DataError, match="global_tag and global_seg of 1"):
        opened.read(write_results(tmp_path, "1 3 0.5", ANNA, ANNA[:9]))
    with pytest.raises(DataError, match="global_seg/1.png"):
        opened.read(write_results(tmp_path, "1 3 0.5", ANNA, np.dstack([ANNA] * 3)))
    with pytest.raises(DataError, match="9, 30"):
        numbers(opened, list(opened.read(write_results(tmp_path, "1 3 0.5", ANNA[:9], ANNA[:9]))))
    with pytest.raises(DataError, match="1 to 58"):
        numbers(opened, list(opened.read(write_results(tmp_path, "1 3 0.5", ANNA, ANNA * 20))))
    folder = write_results(tmp_path, "1 3 0.5", ANNA, ANNA)
    (folder / "global_seg" / "1.png").unlink()
    with pytest.raises(DataError, match="global_seg/1.png"):
        opened.read(folder)


def test_a_person_is_its_mask_and_its_parts():
    record = {**found(1, ANNA), "parts": found(1, BERT)["parts"]}
    assert np.array_equal(
        coco_mask.decode(whole_person({**record, "parts": parse_parts(record, SIZE)}, SIZE)), (ANNA > 0) | (BERT > 0)
    )
    assert not coco_mask.decode(whole_person({"image_id": 1, "parts": {}}, SIZE)).any()


def test_where_parts_overlap_the_higher_id_stays():
    parts = {**found(1, ANNA)["parts"], "40": found(1, ANNA)["segmentation"]}
    assert set(np.unique(part_map({"parts": parse_parts({"image_id": 1, "parts": parts}, SIZE)}, SIZE))) == {0, 40}


@pytest.mark.parametrize("parts", [{"0": None}, {"59": None}, {"arm": None}, [1]])
def test_other_parts_are_refused(parts: object):
    with pytest.raises(DataError, match="image 1 .*1 to 58"):
        parse_parts({"image_id": 1, "parts": parts}, SIZE)
