import pytest

from maskrcnn.evaluation.grit_sections import grit_sections
from tests.evaluation.test_grit_numbers import boxes


def test_a_task_has_its_accuracy_and_its_measures():
    same, new = boxes(1, 1, 1), boxes(0.2, 0.4, new_source=True)
    answers = {"localization": {**same[1], **new[1]}}
    told: list[str] = []
    sections = grit_sections({"localization": [*same[0], *new[0]]}, answers, note="So it is.", say=told.append)
    accuracy, measures, overall = sections
    assert [section.name for section in sections] == ["localization", "localization_measures", "overall"]
    assert accuracy.numbers["mean"] == pytest.approx(0.65)
    assert accuracy.numbers["all_samples"] == pytest.approx(0.72)
    assert accuracy.numbers["dist"] is None
    assert accuracy.protocol.endswith("So it is.")
    assert accuracy.per_class == {}
    assert measures.per_class.keys() == {"sameSrc", "newSrc", "sameCpt"}
    assert measures.numbers["conf"] == 0.5
    assert measures.per_class["newSrc"]["acc"] == pytest.approx(0.3)
    assert overall.numbers["mean"] == pytest.approx(0.65 / 7, abs=1e-6)
    assert told == ["localization"]


def test_nothing_answered():
    (overall,) = grit_sections({"localization": []}, {})
    assert overall.numbers == {"mean": 0}
