import pytest

from maskrcnn.errors import SettingError
from maskrcnn.profiling.peers import BUILDERS
from maskrcnn.profiling.works import QUICK, USUAL, WORKS, choose_works, find_work


def test_selections_have_prediction_and_training():
    for names in (QUICK, USUAL, WORKS):
        tasks = {WORKS[name].task for name in names}
        assert "training" in tasks
        assert "pixels" in tasks


def test_every_work_has_a_model():
    assert {work.model for work in WORKS.values()} <= BUILDERS.keys()


def test_titles_tell_works_apart():
    assert len({work.title for work in WORKS.values()}) == len(WORKS)


def test_single_works_are_chosen_by_name_in_their_order():
    assert list(choose_works(["training", "prediction"], quick=False, everything=False)) == ["training", "prediction"]
    assert tuple(choose_works([], quick=False, everything=False)) == USUAL
    assert tuple(choose_works([], quick=True, everything=False)) == QUICK
    assert list(choose_works([], quick=False, everything=True)) == list(WORKS)


def test_two_selections_contradict_each_other():
    with pytest.raises(SettingError, match=r"--work and --quick were given.*Give one of them"):
        choose_works(["training"], quick=True, everything=False)


def test_an_unknown_work_names_those_that_are_near():
    with pytest.raises(SettingError, match=r"trainning: there is no work.*Did you mean training.*prediction-rle"):
        find_work("trainning")
