import json
import resource
import zipfile

import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.training.checkpoint import Checkpoint, RunProgress, load_checkpoint, restore_optimizer, save_checkpoint
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


ODD = [
    *(None, 5, "x", [], {}, "{}", "null", '{"step": "x"}', '{"step": -5}', "[" * 100_000, torch.zeros(3), {"a": 1}),
    *('{"step": 3, "loss_sums": 5}', '{"step": ' + "9" * 5000 + "}", '{"log_position": -1}', '{"seconds": "x"}'),
    *('{"loss_sums": {"a": NaN}}', {"state": 1, "param_groups": 2}, {"state": {"x": {}}, "param_groups": []}),
    *({"state": {}, "param_groups": [{"params": "x"}]}, {"state": {0: {"exp_avg": "x"}}, "param_groups": []}),
]
# Of these values, those that are right at some place.
RIGHT = {"progress": ["{}"], "settings": ["{}"], "average": [None, {}], "model": [{}]}


@pytest.mark.parametrize(
    "key", ["format", "version", "progress", "settings", "classes", "model", "optimizer", "average"]
)
def test_a_checkpoint_with_a_part_of_another_kind_is_refused(path, key):
    content = torch.load(path, weights_only=True)
    for value in ODD:
        if any(isinstance(value, type(one)) and value == one for one in RIGHT.get(key, [])):
            continue
        torch.save({**content, key: value}, path)
        with pytest.raises(WeightsError, match=r"last\.pt"):
            load_checkpoint(path)
    if key != "average":
        torch.save({name: one for name, one in content.items() if name != key}, path)
        with pytest.raises(WeightsError, match=r"last\.pt"):
            load_checkpoint(path)


def change_groups(**values):
    return lambda state: {**state, "param_groups": [group | values for group in state["param_groups"]]}


def change_state(value):
    return lambda state: {**state, "state": {0: {"exp_avg": value}}}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change_groups(params=[0, 1]), id="other parameters"),
        pytest.param(change_groups(lr="x"), id="text as rate"),
        pytest.param(change_groups(lr=float("nan")), id="NaN as rate"),
        pytest.param(change_groups(lr=10**400), id="a rate that no float can hold"),
        pytest.param(change_groups(betas=(0.9,)), id="one beta"),
        pytest.param(lambda state: {**state, "param_groups": []}, id="no groups"),
        pytest.param(change_state(torch.ones(4)), id="other shape"),
        pytest.param(lambda state: {**state, "state": {10**6: {}}}, id="no such parameter"),
    ],
)
def test_the_state_of_another_optimizer_is_refused(change):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    before = optimizer.state_dict()
    with pytest.raises(WeightsError, match=r"last\.pt.*optimizer"):
        restore_optimizer(optimizer, change(optimizer.state_dict()), source="last.pt")
    assert optimizer.state_dict() == before


def test_what_another_version_of_torch_did_not_write_is_as_in_the_optimizer():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))], lr=0.5)
    restore_optimizer(optimizer, {"state": {}, "param_groups": [{"params": [0], "weight_decay": 0.25}]}, source="x")
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.5, 0.25)


def test_a_compressed_checkpoint_is_refused_before_it_grows(path):
    packed = path.with_name("packed.pt")
    with zipfile.ZipFile(path) as parts, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for name in parts.namelist():
            written.writestr(name, parts.read(name))
    with pytest.raises(WeightsError, match=r"packed\.pt"):
        load_checkpoint(packed)
