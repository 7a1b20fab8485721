import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from maskrcnn.data.dataset import Dataset, Record
from maskrcnn.data.proposals import write_proposals
from maskrcnn.errors import DataError, WeightsError
from maskrcnn.predict.proposals import read_proposal_file
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.instances import Instances

BOXES = np.array([[1, 2, 3, 4], [5, 5, 9, 9]], dtype=np.float32)


def data():
    empty = Instances(size=(10, 10), boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    records = [Record(Path(f"{i}.png"), i, (10, 10), {}, empty) for i in (3, 4)]
    return Dataset(Path("val.json"), records, Classes(("cell",), (1,)))


def found(path):
    return [record.proposals.tolist() for record in read_proposal_file(path, data(), most=10).records]


def pickled(tmp_path, content):
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path / "p.pkl"


@pytest.mark.parametrize("names", [("scores", "indexes"), ("objectness_logits", "ids")])
def test_files_of_detectron_and_detectron2_are_read_best_first(tmp_path, names):
    content = {
        "boxes": [BOXES, BOXES[:0]],
        names[0]: [np.array([-1.0, 2.5], dtype=np.float32), np.zeros(0, dtype=np.float32)],
        names[1]: [3, "4"],
    }
    assert found(pickled(tmp_path, content)) == [[[5, 5, 9, 9], [1, 2, 3, 4]], []]


def test_other_files_are_read_by_what_is_in_them(tmp_path):
    one = Instances((10, 10), torch.from_numpy(BOXES), torch.zeros(2, dtype=torch.int64), torch.tensor([0.9, 0.1]))
    write_proposals(tmp_path / "p.json", [(3, one), (4, one[:1])])
    assert found(tmp_path / "p.json") == [BOXES.tolist(), BOXES[:1].tolist()]


@pytest.mark.parametrize(
    "content", [[1, 2], {"boxes": [], "ids": []}, {"boxes": [], "ids": [], "scores": [], "bbox_mode": 1}]
)
def test_other_pickles_are_named(tmp_path, content):
    with pytest.raises(DataError, match=r"p.pkl: has no lists `boxes`"):
        found(pickled(tmp_path, content))


class Command:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_in_a_pickle_is_executed(tmp_path, capsys):
    with pytest.raises(WeightsError, match="print"):
        found(pickled(tmp_path, {"boxes": [Command()]}))
    assert "executed" not in capsys.readouterr().out


def test_a_missing_pickle_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no.pkl: cannot be read"):
        found(tmp_path / "no.pkl")
