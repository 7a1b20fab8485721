import pytest

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from tests.builders.voc import write_sbd


def found(image_id: int, category_id: int, box: tuple[int, int, int, int], score: float = 0.9) -> dict:
    x, y, width, height = box
    polygon = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return {"image_id": image_id, "category_id": category_id, "score": score, "segmentation": polygon}


def test_perfect_masks_reach_one_and_a_missed_one_costs(tmp_path):
    write_sbd(tmp_path / "benchmark_RELEASE" / "dataset", "val", {"a": [(12, (0, 0, 10, 5)), (12, (20, 10, 10, 10))]})
    opened = open_benchmark("sbd", tmp_path)
    assert opened.counts == {"images": 1, "objects": 2}
    assert [record.path.name for record in opened.dataset().records] == ["a.jpg"]
    records = [found(1, 12, (0, 0, 10, 5)), found(1, 12, (20, 10, 10, 10))]
    sds, mnc = opened.score(records)
    assert (sds.numbers["APr_vol"], mnc.numbers["APr50"]) == (pytest.approx(1), pytest.approx(1))
    sds, mnc = opened.score(records[:1])
    assert (sds.numbers["APr50"], mnc.numbers["APr50"]) == (0.5, pytest.approx(6 / 11))


def test_a_missing_split_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no val.txt of SBD"):
        open_benchmark("sbd", tmp_path)


def test_masks_of_unknown_classes_are_an_error(tmp_path):
    write_sbd(tmp_path, "val", {"a": [(21, (0, 0, 10, 5))]})
    with pytest.raises(DataError, match=r"object 1: its class is 21, but must be 1 to 20. Unpack SBD again"):
        open_benchmark("sbd", tmp_path)
