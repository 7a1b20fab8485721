import json
import resource

import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.training.checkpoint import Checkpoint, RunProgress, load_checkpoint, save_checkpoint
from tests.training import small


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "last.pt", checkpoint())
    return tmp_path / "last.pt"


def checkpoint(values=3):
    progress = RunProgress(step=7, best=0.25, scores={"segm": {"AP": 0.25}}, log_position=99, loss_sums={"boxes": 1.5})
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    state = {"value": torch.arange(values) / 7}
    return Checkpoint(progress, small.settings(), small.CLASSES, state, optimizer.state_dict(), None)


def test_everything_comes_back(path):
    saved, loaded = checkpoint(), load_checkpoint(path)
    assert torch.equal(loaded.model.pop("value"), saved.model.pop("value"))
    assert loaded == saved


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


DAMAGES = {
    "missing": lambda path: path.unlink(),
    **{f"cut off at {share}": cut(share) for share in (0, 0.1, 0.5, 0.99)},
    "a list": lambda path: torch.save([1], path),
    "weights": lambda path: torch.save({"state_dict": {}}, path),
    "a later version": lambda path: torch.save({"format": "maskrcnn training run", "version": 2}, path),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_no_whole_checkpoint_of_this_version_is_not_loaded(path, damage):
    damage(path)
    with pytest.raises(WeightsError, match="last.pt"):
        load_checkpoint(path)


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (self.marker.touch, ())


def test_code_inside_a_checkpoint_is_not_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"format": RunsCode(marker)}, tmp_path / "last.pt")
    with pytest.raises(WeightsError, match="last.pt"):
        load_checkpoint(tmp_path / "last.pt")
    assert not marker.exists()


def test_settings_of_another_version_are_refused(path):
    content = torch.load(path, weights_only=True)
    content["settings"] = json.dumps({"neck": 1})
    torch.save(content, path)
    with pytest.raises(WeightsError, match="last.pt.*neck=1"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_previous_checkpoint(path):
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(WeightsError, match="last.pt"):
            save_checkpoint(path, checkpoint(values=1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
