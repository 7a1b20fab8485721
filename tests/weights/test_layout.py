import torch

from maskrcnn.config import BackboneSettings
from maskrcnn.weights.layout import background_last, background_rows, bins_first, channels_first, split_counters


def test_bins_go_before_channels_and_back():
    # Two channels of 2 x 2 bins: channel, row, column is 0..7.
    state = {"box_head.0.hidden.0.weight": torch.arange(8)[None], "box_head.0.hidden.1.weight": torch.arange(4)[None]}
    ours = bins_first(state, 2)
    assert ours["box_head.0.hidden.0.weight"].tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]
    assert torch.equal(ours["box_head.0.hidden.1.weight"], state["box_head.0.hidden.1.weight"])
    assert torch.equal(channels_first(ours, 2)["box_head.0.hidden.0.weight"], state["box_head.0.hidden.0.weight"])


def test_a_head_with_convolutions_has_their_number_of_channels():
    state = {
        "box_head.1.convolutions.0.convolution.weight": torch.zeros(4, 2, 3, 3),
        "box_head.1.hidden.0.weight": torch.arange(16)[None],
        "mask_head.hidden.0.weight": torch.arange(8)[None],
    }
    ours = bins_first(state, 2)
    assert ours["box_head.1.hidden.0.weight"][0, :4].tolist() == [0, 4, 8, 12]
    assert ours["mask_head.hidden.0.weight"][0, :2].tolist() == [0, 4]


def test_the_background_goes_last_and_out_of_boxes_and_masks():
    state = {
        "box_head.0.logits.bias": torch.tensor([9, 1, 2]),
        "box_head.0.deltas.bias": torch.arange(12),
        "mask_head.logits.bias": torch.tensor([9, 1, 2]),
        "rpn.logits.bias": torch.tensor([9, 1, 2]),
    }
    ours, rows = background_last(state)
    assert {name: one.tolist() for name, one in ours.items()} == {
        "box_head.0.logits.bias": [1, 2, 9],
        "box_head.0.deltas.bias": list(range(4, 12)),
        "mask_head.logits.bias": [1, 2],
        "rpn.logits.bias": [9, 1, 2],
    }
    assert {name: one.tolist() for name, one in rows.items()} == {
        "box_head.0.deltas.bias": [0, 1, 2, 3],
        "mask_head.logits.bias": [9],
    }


def test_one_box_and_one_mask_for_all_classes_have_no_background():
    assert background_rows("box_head.0.deltas.bias", torch.zeros(4)) == 0
    assert background_rows("mask_head.logits.bias", torch.zeros(1)) == 0
    assert background_rows("keypoint_head.upsample.bias", torch.zeros(17)) == 0


def test_only_norms_that_are_not_frozen_keep_their_counters():
    names = [
        "backbone.stem",
        "backbone.stages.0.0.step1",
        "backbone.stages.1.0.step1",
        "shared_head.0.step1",
        "neck.lateral.0",
    ]
    state = {f"{name}.norm.num_batches_tracked": torch.tensor(1) for name in names} | {"rpn.logits.bias": torch.ones(1)}

    def kept(**settings) -> int:
        ours, counters = split_counters(state, BackboneSettings(**settings))
        assert ours.keys() | counters.keys() == state.keys()
        return len(ours) - 1

    assert kept(norm="frozen_batch") == 1
    assert [kept(norm="batch", frozen_stages=stages) for stages in (0, 1, 2, 3, 4, 5)] == [5, 4, 3, 2, 2, 1]


def test_a_mobilenet_with_norms_that_measure_keeps_all_counters():
    state = {"backbone.features.0.1.num_batches_tracked": torch.tensor(1)}
    assert split_counters(state, BackboneSettings(norm="batch", frozen_stages=0))[1] == {}
    assert split_counters(state, BackboneSettings(norm="frozen_batch"))[0] == {}
