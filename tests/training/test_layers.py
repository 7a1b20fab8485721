import copy
import json

import torch
from torch import nn

from maskrcnn.model.build import build_model
from maskrcnn.training.layers import freeze_layers
from maskrcnn.training.loop import train_loop
from maskrcnn.weights.own import load_weights
from tests.training.tiny import CLASSES, batches, changed_parts, model_settings, run_settings

EVERYTHING = {"backbone", "neck", "rpn", "heads"}


def model():
    torch.manual_seed(0)
    return build_model(model_settings().changed({"backbone.norm": "batch"}), len(CLASSES))


def is_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def test_nothing_is_fixed_where_everything_is_trained():
    whole = model()
    assert freeze_layers(whole, EVERYTHING) == []
    assert all(parameter.requires_grad for parameter in whole.parameters())


def test_all_but_the_trained_parts_are_frozen():
    whole = model()
    frozen = freeze_layers(whole, ("rpn",))
    assert is_trained(whole.rpn)
    assert not any(is_trained(module) for module in (whole.backbone, whole.neck, whole.box_head, whole.mask_head))
    assert whole.backbone in frozen
    assert whole.rpn not in frozen


def run(tmp_path, *parts, with_proposals=False):
    """Names of the parts whose numbers three steps have changed, and of the losses."""
    whole = model()
    before = copy.deepcopy(whole.state_dict())
    train = {"steps": 3, "warmup_steps": 0, "learning_rate": 1.0, "precision": "float32", "layers": parts}
    settings = run_settings(**train).changed({"backbone.norm": "batch"})

    def stream(start):
        for batch in batches(start):
            batch.proposals = [target.boxes + 1 for target in batch.targets] if with_proposals else None
            yield batch

    result = train_loop(whole, stream, settings, classes=CLASSES, folder=tmp_path, quiet=True)
    after = load_weights(result.weights).state
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    return changed_parts(before, after), {name for entry in entries for name in entry.get("losses", {})}


def test_a_region_proposal_network_is_trained_alone(tmp_path):
    changed, losses = run(tmp_path, "backbone", "neck", "rpn")
    assert changed == {"backbone", "neck", "rpn"}
    assert losses == {"rpn_objectness", "rpn_boxes"}


def test_a_frozen_backbone_keeps_the_statistics_of_its_norms(tmp_path):
    assert run(tmp_path, "rpn")[0] == {"rpn"}


def test_heads_are_trained_on_the_proposals_of_a_file_and_on_those_of_a_frozen_network(tmp_path):
    everything_but = {"backbone", "neck", "box_head", "mask_head"}
    for number, with_proposals in enumerate((True, False)):
        changed, losses = run(tmp_path / str(number), "backbone", "neck", "heads", with_proposals=with_proposals)
        assert changed == everything_but
        assert losses == {"classes", "boxes", "masks"}
    assert run(tmp_path / "heads", "heads")[0] == {"box_head", "mask_head"}


def test_proposals_of_a_file_train_also_where_everything_may_be_trained(tmp_path):
    changed, losses = run(tmp_path, *EVERYTHING, with_proposals=True)
    assert "rpn" not in changed
    assert losses == {"classes", "boxes", "masks"}
