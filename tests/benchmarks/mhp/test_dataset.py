from pathlib import Path

import numpy as np
import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.readers import mhp
from maskrcnn.errors import DataError
from tests.builders.mhp import ANNA, BERT, found, lay_out
from tests.builders.scores import numbers


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
    with pytest.raises(DataError, match=r"record 1 has no `parts`, but others have"):
        numbers(opened, [found(1, ANNA), *records])
    with pytest.raises(DataError, match=r"record 0 has no `parts`, but MHP's server scores nothing else"):
        opened.submit(records, tmp_path / "a.zip")
    assert numbers(opened, [])["parts"] == {"AP_p_0_5": 0, "AP_p_vol": 0, "PCP_0_5": 0}


def test_boxes_alone_are_refused(tmp_path: Path):
    opened = open_benchmark("mhp", lay_out(tmp_path, {"1": [ANNA]}))
    with pytest.raises(DataError, match=r"none of the 1 predictions has `segmentation` or `parts`"):
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
