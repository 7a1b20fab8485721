import json
from pathlib import Path

import pytest
import torch

from maskrcnn.data.dataset import Dataset, Record
from maskrcnn.data.proposals import check_proposals_name, read_proposals, without_proposals, write_proposals
from maskrcnn.errors import DataError
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

SIZE = (40, 50)


def objects(boxes, scores=None):
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    values = None if scores is None else torch.tensor(scores)
    return Instances(size=SIZE, boxes=rows, labels=torch.zeros(len(rows), dtype=torch.int64), scores=values)


def data(*image_ids):
    records = [Record(Path(f"{i}.png"), i, SIZE, {}, objects([])) for i in image_ids]
    return Dataset(Path("train.json"), records, Classes(("cell",), (1,)))


def read(path, *image_ids, most=100):
    return [record.proposals.tolist() for record in read_proposals(path, data(*image_ids), most=most).records]


def lines(tmp_path, *rows):
    path = tmp_path / "p.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["p.jsonl", "new/p.json"])
def test_what_is_written_is_read_in_either_form(tmp_path, name):
    found = [(7, objects([[1, 2, 30, 40], [0, 0, 10.125, 5]], [0.9, 0.5])), (8, objects([[3, 3, 4, 4]], [0.25]))]
    write_proposals(tmp_path / name, found)
    assert read(tmp_path / name, 8, 7) == [[[3, 3, 4, 4]], [[1, 2, 30, 40], [0, 0, pytest.approx(10.12, abs=0.01), 5]]]


def test_the_json_form_is_a_list_of_coco_results_and_an_image_may_have_none(tmp_path):
    write_proposals(tmp_path / "p.json", [(7, objects([[1, 2, 30, 40]], [0.5]))])
    expected = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 29, 38], "score": 0.5}]
    assert json.loads((tmp_path / "p.json").read_text()) == expected
    write_proposals(tmp_path / "p.jsonl", [(7, objects([], []))])
    assert read(tmp_path / "p.jsonl", 7) == [[]]
    write_proposals(tmp_path / "p.json", [])
    assert json.loads((tmp_path / "p.json").read_text()) == []


def test_the_best_are_kept_in_the_order_of_their_scores_cut_at_the_edges_and_without_empty_ones(tmp_path):
    boxes = [[5, 5, 6, 6], [10, 10, 10, 20], [-0.5, 0, 50.5, 40], [1, 1, 2, 2]]
    path = lines(tmp_path, {"image_id": 1, "boxes": boxes, "scores": [0.2, 0.9, 0.5, 0.1]})
    assert read(path, 1, most=2) == [[[0, 0, 50, 40], [5, 5, 6, 6]]]


def test_without_scores_the_order_of_the_file_counts_and_images_of_no_interest_are_passed_over(tmp_path):
    path = lines(tmp_path, {"image_id": 9, "boxes": [[0, 0, 999, 999]]}, {"image_id": 1, "boxes": [[0, 0, 1, 1]]}, "")
    assert read(path, 1) == [[[0, 0, 1, 1]]]


def test_a_data_set_can_be_without_them_again(tmp_path):
    path = lines(tmp_path, {"image_id": 1, "boxes": [[0, 0, 1, 1]]})
    assert without_proposals(read_proposals(path, data(1), most=5)).records[0].proposals is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"image_id": 1, "boxes": []}], r"p.jsonl: 1 of the 2 images of train.json.*image id 2 \(2.png\)"),
        ([{"image_id": 1, "boxes": []}] * 2, "line 2: image id 1 "),
        ([{"image_id": 1, "boxes": [[0, 0, 9, 9], [0, 0, 52, 9]]}], r"line 1: box \[0.0, 0.0, 52.0, 9.0\].*50 x 40 px"),
        ([{"image_id": 1, "boxes": [[0, 0, float("nan"), 9]]}], r"box \[0.0, 0.0, nan, 9.0\]"),
        ([{"image_id": 1, "boxes": [[0, 0, 9, 9]], "scores": []}], "line 1: 1 boxes but 0 scores"),
        ([{"boxes": []}], 'line 1: {"boxes": .*"image_id"'),
        ([{"image_id": 1, "boxes": [[1, 2, 3]]}], "line 1: "),
        (["7"], "line 1: 7 "),
        (['{"image_id": 1, "bo'], "line 1: "),
        (["[{"], " line "),
        (['[{"image_id": 1, "bbox": [1, 2, 3], "score": 1}]'], "record 0: .*image_id"),
        (["[7]"], "record 0: 7 "),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        read(lines(tmp_path, *rows), 1, 2)


def test_a_missing_file_and_one_of_bytes_are_named(tmp_path):
    with pytest.raises(DataError, match="no.jsonl"):
        read(tmp_path / "no.jsonl", 1)
    (tmp_path / "p.jsonl").write_bytes(b"\x80\x02}q")
    with pytest.raises(DataError, match="p.jsonl"):
        read(tmp_path / "p.jsonl", 1)


def test_a_name_must_say_the_form():
    with pytest.raises(DataError, match=r"proposals.txt: .* \.jsonl .* \.json"):
        check_proposals_name(Path("proposals.txt"))
