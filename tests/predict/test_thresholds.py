import pytest

from maskrcnn.errors import WeightsError
from maskrcnn.predict.class_match import find_threshold


def test_what_is_given_wins_over_the_weights_and_they_over_the_usual():
    assert find_threshold(0.0, {"score_threshold": "0.7"}) == (0.0, "given")
    assert find_threshold(None, {"score_threshold": "0.7"}) == (0.7, "weights")
    assert find_threshold(None, {"data": "drawn"}) == (0.5, "default")


@pytest.mark.parametrize("note", ["high", "1.5", "nan"])
def test_a_note_that_is_no_fraction_is_an_error(note):
    with pytest.raises(WeightsError, match=f"note score_threshold is '{note}', but must be a number in 0..1"):
        find_threshold(None, {"score_threshold": note})
