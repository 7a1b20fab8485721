import pytest

from maskrcnn.errors import WeightsError
from maskrcnn.weights.foreign.names import check_all_placed, normed, rename, rename_back, rename_known, translate

TABLE = [("head.{i}.", "heads.{i+1}."), ("head.", "rest."), ("rows.{i*3+1}.", "norms.{i}."), ("deep.*", "below.*")]
CONVOLUTIONS = [*normed("fpn{i+2}.", "neck.{i}."), ("conv1.", "backbone.stem.convolution.")]
NAMES = {
    "head.2.weight": "heads.3.weight",
    "head.weight": "rest.weight",
    "rows.4.bias": "norms.1.bias",
    "deep.er.weight": "below.er.weight",
}


@pytest.mark.parametrize(("theirs", "ours"), NAMES.items())
def test_the_first_pair_that_fits_counts_in_both_directions(theirs, ours):
    assert rename(theirs, TABLE) == ours
    assert rename_back(ours, TABLE) == theirs


@pytest.mark.parametrize("name", ["backbone.head.2.weight", "head.head.weight", "rows.3.bias", "rows.0.bias", "head"])
def test_a_name_fits_as_a_whole_with_one_leaf_or_not_at_all(name):
    assert rename(name, TABLE) is None


def test_names_without_a_pair_stay():
    assert rename_known({"head.0.bias": 1, "backbone.bias": 2}, TABLE) == {"heads.1.bias": 1, "backbone.bias": 2}


def test_translating_tells_origins_and_what_is_left():
    assert translate(["head.0.bias", "other.bias"], TABLE) == ({"heads.1.bias": "head.0.bias"}, ["other.bias"])


def test_a_second_tensor_for_the_same_place_is_left():
    assert translate(["a1.w", "a2.w"], [("a{i}.", "b.")]) == ({"b.w": "a1.w"}, ["a2.w"])


def test_a_convolution_without_a_norm_is_a_plain_one_and_the_backbone_s_always_have_theirs():
    names = ["fpn4.weight", "fpn4.norm.weight", "fpn3.weight", "fpn3.bias", "conv1.weight"]
    origins, _ = translate(names, CONVOLUTIONS)
    assert list(origins) == [
        *("neck.2.convolution.weight", "neck.2.norm.weight", "neck.1.weight", "neck.1.bias"),
        "backbone.stem.convolution.weight",
    ]
    assert [rename_back(name, CONVOLUTIONS) for name in origins] == names


def test_tensors_without_a_place_are_all_named():
    check_all_placed([], "x.pth", "nothing")
    with pytest.raises(WeightsError, match=r"x.pth.* a, b.*plain ResNets"):
        check_all_placed(["a", "b"], "x.pth", "plain ResNets")
