import pytest
import torch

from maskrcnn.model.build import build_model
from maskrcnn.predict.predictor import Predictor
from maskrcnn.profiling.peers import CLASSES, build_peer, our_weights
from maskrcnn.profiling.scenes import make_image
from tests.builders.works import PREDICTION, TRAINING


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
    def learned(model):
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    settings = our_weights(TRAINING, peer_state).settings
    # torchvision has a row of masks and one of deltas for the background.
    extra = (256 + 1) + 4 * (1024 + 1)
    assert learned(build_peer(TRAINING, peer_state)) - learned(build_model(settings, CLASSES)) == extra
