import pytest
import torch

from maskrcnn.profiling.contenders import make_weights
from tests.builders.works import PREDICTION


@pytest.fixture(scope="session")
def peer_state():
    """Of the model of all small works, made once for all processes of the tests' session."""
    return make_weights(PREDICTION.model)


@pytest.fixture(scope="session")
def peer_file(peer_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(peer_state, path)
    return path
