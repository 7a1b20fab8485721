from importlib.util import find_spec

import pytest
import torch
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.profiling import contenders
from maskrcnn.profiling.contenders import (
    OPENVINO,
    PEERS,
    PRODUCTS,
    SETTINGS,
    can_do,
    encode_whole,
    is_installed,
    make_run,
)
from maskrcnn.profiling.scenes import OBJECTS
from tests.builders.works import PREDICTION, RLE, TRAINING


@pytest.mark.parametrize("name", ["torchvision", "float32"])
@pytest.mark.parametrize(
    ("work", "objects"),
    [(PREDICTION, 10), (RLE, 2 * 10), (TRAINING, OBJECTS)],
    ids=lambda value: getattr(value, "task", ""),
)
def test_everybody_does_the_same_work(name, work, objects, peer_state):
    assert name in {*PEERS, *SETTINGS}
    run = make_run(work, name, peer_state)
    assert [run(), run()] == [objects, objects]


def test_openvino_does_the_same_work(peer_state):
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is an extra: pip install maskrcnn[openvino]")
    run = make_run(PREDICTION, OPENVINO, peer_state)
    assert [run(), run()] == [10, 10]


def test_openvino_is_for_predictions_where_it_is_installed(monkeypatch):
    assert [can_do(OPENVINO, work) for work in (PREDICTION, TRAINING)] == [True, False]
    assert can_do("default", TRAINING)
    monkeypatch.setattr(contenders, "find_spec", lambda name: None)
    assert [is_installed(name) for name in SETTINGS] == [True, True, False]


def test_matrix_products_find_nothing(peer_state, monkeypatch):
    monkeypatch.setattr("maskrcnn.profiling.contenders.SIDE", 8)
    assert make_run(PREDICTION, PRODUCTS, peer_state)() == 0


def test_rle_of_whole_masks_are_those_of_each():
    masks = torch.zeros(2, 3, 4, dtype=torch.bool)
    masks[0, 1, 1:3] = True
    masks[1, :, 3] = True
    assert [coco_mask.decode(one).tolist() for one in encode_whole(masks)] == masks.int().tolist()


def test_no_masks_have_no_rle():
    assert encode_whole(torch.zeros(0, 3, 4, dtype=torch.bool)) == []
