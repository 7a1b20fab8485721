import pytest

from maskrcnn.errors import WeightsError
from maskrcnn.weights.renames import check_all_placed, rename, rename_known, translate

TABLE = [(r"head\.(\d)\.", lambda m: f"heads.{int(m[1]) + 1}."), (r"head\.", "rest.")]
CONVOLUTIONS = [
    (r"fpn(\d)\.norm\.", r"neck.\1.norm."),
    (r"fpn(\d)\.", r"neck.\1.convolution."),
    (r"conv1\.", "backbone.stem.convolution."),
]


def test_the_first_rule_that_fits_the_start_of_a_name_counts():
    assert rename("head.2.weight", TABLE) == "heads.3.weight"
    assert rename("head.weight", TABLE) == "rest.weight"


def test_only_the_start_is_looked_at_and_replaced_once():
    assert rename("backbone.head.2.weight", TABLE) is None
    assert rename("head.head.weight", TABLE) == "rest.head.weight"


def test_names_without_a_rule_stay():
    assert rename_known({"head.0.bias": 1, "backbone.bias": 2}, TABLE) == {"heads.1.bias": 1, "backbone.bias": 2}


def test_translating_tells_origins_and_what_is_left():
    origins, left = translate(["head.0.bias", "other.bias"], TABLE)
    assert origins == {"heads.1.bias": "head.0.bias"}
    assert left == ["other.bias"]


def test_a_second_tensor_for_the_same_place_is_left():
    assert translate(["a1.w", "a2.w"], [(r"a\d\.", "b.")]) == ({"b.w": "a1.w"}, ["a2.w"])


def test_a_convolution_without_a_norm_is_a_plain_one_and_the_body_s_always_have_theirs():
    origins, _ = translate(
        ["fpn2.weight", "fpn2.norm.weight", "fpn3.weight", "fpn3.bias", "conv1.weight"], CONVOLUTIONS
    )
    assert list(origins) == [
        *("neck.2.convolution.weight", "neck.2.norm.weight", "neck.3.weight", "neck.3.bias"),
        "backbone.stem.convolution.weight",
    ]


def test_tensors_without_a_place_are_all_named():
    check_all_placed([], "x.pth", "nothing")
    with pytest.raises(WeightsError, match=r"^x.pth: 2 tensors have no place here: a, b. Readable are plain ResNets.$"):
        check_all_placed(["a", "b"], "x.pth", "plain ResNets")
