import pytest
import torch
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.model.build import build_model
from maskrcnn.predict.predictor import Predictor
from maskrcnn.profiling import contenders
from maskrcnn.profiling.contenders import (
    CLASSES,
    OPENVINO,
    PEERS,
    PRODUCTS,
    SETTINGS,
    build_peer,
    can_do,
    encode_whole,
    is_installed,
    make_run,
    our_weights,
)
from maskrcnn.profiling.works import OBJECTS, make_image
from tests.builders.works import PREDICTION, RLE, TRAINING
from tests.conftest import require_openvino


def test_random_weights_keep_every_stage_busy(peer_state):
    peer = build_peer(PREDICTION, peer_state)
    proposals = []
    peer.rpn.register_forward_hook(lambda *words: proposals.append(len(words[2][0][0])))
    with torch.no_grad():
        (found,) = peer([make_image(PREDICTION.size) / 255])
    assert proposals[0] > 100
    assert len(found["boxes"]) == PREDICTION.most
    assert 0.1 < (found["masks"] > 0.5).float().sum() / (found["masks"] > 0).float().sum() < 0.9


def test_our_model_gives_the_peers_results(peer_state):
    image = make_image(PREDICTION.size)
    with torch.no_grad():
        (theirs,) = build_peer(PREDICTION, peer_state)([image / 255])
    ours = Predictor(our_weights(PREDICTION, peer_state), device="cpu", precision="float32")(image)
    assert ours.scores.tolist() == pytest.approx(theirs["scores"].tolist(), abs=1e-4)
    assert (ours.boxes - theirs["boxes"]).abs().max() < 0.05
    assert ours.labels.equal(theirs["labels"] - 1)


def test_both_train_the_same_parameters(peer_state):
    def trained(model):
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    settings = our_weights(TRAINING, peer_state).settings
    # torchvision has a row of masks and one of deltas for the background.
    extra = (256 + 1) + 4 * (1024 + 1)
    assert trained(build_peer(TRAINING, peer_state)) - trained(build_model(settings, CLASSES)) == extra


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
    require_openvino()
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
