import numpy as np
import pytest

from maskrcnn.evaluation.grit import GritAnswer, GritSample, sample_score
from maskrcnn.evaluation.grit_numbers import grit_numbers
from tests.evaluation.vectors import number

OBJECTS = {"localization": "bboxes", "segmentation": "masks"}
BOX = [0, 0, 10, 10]


def read_samples(vector: dict) -> tuple[dict, dict]:
    """Samples and answers as evaluate.py reads them, by task."""
    samples = {task: [read_sample(task, one, vector) for one in found] for task, found in vector["samples"].items()}
    answers = {
        task: {one["example_id"]: GritAnswer(one["confidence"], one[OBJECTS[task]]) for one in found}
        for task, found in vector["predictions"].items()
    }
    return samples, answers


def read_sample(task: str, one: dict, vector: dict) -> GritSample:
    lemmas = [concept["lemma"] for concept in one["meta"]["concepts"]]
    groups = frozenset(group for lemma in lemmas for group in vector["lemma2groups"].get(lemma, []))
    meta = one["meta"]
    flags = (meta["is_new_source"], meta["has_new_concept"], meta["is_distorted"])
    objects = one["output"][OBJECTS[task]]
    return GritSample(one["input"]["example_id"], one["input"]["task_query"], objects, groups, *flags)


def score(samples: dict, answers: dict) -> dict[str, float]:
    scores = {
        task: [sample_score(task, sample, answers[task][sample.example_id]) for sample in samples[task]]
        for task in answers
    }
    return grit_numbers(samples, answers, scores)


def check_vector(vector: dict):
    """Compare with the file that evaluate.py writes; the count of parameters is no score."""
    expected = {name: number(value) for name, value in vector["expected"].items() if name != "params"}
    numbers = score(*read_samples(vector["input"]))
    assert numbers.keys() == expected.keys()
    assert numbers == pytest.approx(expected, abs=1e-4)


def boxes(*accuracies: float, **flags) -> tuple[list[GritSample], dict[str, GritAnswer]]:
    """Samples with one box, and answers that reach these accuracies with a confidence of 0.5."""
    names = [f"{'new' if flags.get('new_source') else 'same'}{place}" for place in range(len(accuracies))]
    samples = [GritSample(name, "cat", [BOX], **flags) for name in names]
    found = [GritAnswer(0.5, [[0, 0, 10, 10 * accuracy]]) for accuracy in accuracies]
    return samples, dict(zip(names, found, strict=True))


def localization(*parts: tuple[list[GritSample], dict[str, GritAnswer]]) -> dict[str, float]:
    samples = [sample for part, _ in parts for sample in part]
    answers = {name: answer for _, part in parts for name, answer in part.items()}
    return score({"localization": samples}, {"localization": answers})


def test_both_sources_count_the_same_however_many_samples_they_have():
    numbers = localization(boxes(1, 1, 1, 1), boxes(0.2, 0.4, new_source=True))
    assert numbers["acc.any.sameSrc.loc.mean"] == 100
    assert numbers["acc.any.newSrc.loc.mean"] == pytest.approx(30)
    assert numbers["acc.any.agg.loc.mean"] == pytest.approx(65)
    assert numbers["overall.mean"] == pytest.approx(65 / 7, abs=1e-4)
    assert numbers["acc.any.sameSrc.loc.cnt"] == 4


def test_confidence_by_hand():
    numbers = localization(boxes(1, 1), boxes(0.2, 0.2, new_source=True))
    assert numbers["conf.any.agg.loc.mean"] == 50
    assert numbers["inf.any.newSrc.loc.mean"] == pytest.approx(10, abs=1e-4)
    assert numbers["misinf.any.newSrc.loc.mean"] == pytest.approx(40, abs=1e-4)
    assert numbers["sa.any.newSrc.loc.mean"] == pytest.approx(50, abs=1e-4)
    assert numbers["rmse.any.newSrc.loc.mean"] == pytest.approx(30, abs=1e-4)


def test_distorted_samples_count_in_no_other_partition_and_are_compared_with_their_twins():
    clean, answers = boxes(1, 0.8, 0.5)
    bent = [sample._replace(example_id=f"{sample.example_id}_dist", distorted=True) for sample in clean[:2]]
    worse = dict(zip([sample.example_id for sample in bent], boxes(0.4, 0.4)[1].values(), strict=True))
    numbers = localization((clean, answers), (bent, worse))
    assert numbers["acc.any.sameSrc.loc.cnt"] == numbers["acc.any.sameCpt.loc.cnt"] == 3
    assert numbers["acc.any.undist.loc.mean"] == pytest.approx(90, abs=1e-4)
    assert numbers["acc.any.dist.loc.mean"] == pytest.approx(40, abs=1e-4)
    assert numbers["acc.any.deldist.loc.mean"] == pytest.approx(50, abs=1e-4)
    assert not any(name.startswith("rmse.any.deldist") for name in numbers)


def test_partitions_of_one_sample_are_left_out_and_with_them_the_overall_number():
    numbers = localization(boxes(1, 1), boxes(0.2, new_source=True))
    assert "acc.any.sameSrc.loc.mean" in numbers
    assert not {"acc.any.newSrc.loc.mean", "acc.any.agg.loc.mean", "overall.mean"} & numbers.keys()


def test_groups_are_those_of_the_concept():
    fruit, vehicles = boxes(1, 1), boxes(0.5, 0.5, new_source=True)
    grouped = [sample._replace(groups=frozenset({"food", "nonsense"})) for sample in (*fruit[0], *vehicles[0])]
    numbers = localization((grouped, {**fruit[1], **vehicles[1]}))
    assert numbers["acc.food.agg.loc.mean"] == pytest.approx(75)
    assert not any("tools" in name or "nonsense" in name for name in numbers)


def test_the_interval_is_students():
    numbers = localization(boxes(0.2, 0.4, 0.6))
    mean, error = 40.0, np.std([20, 40, 60], ddof=1) / np.sqrt(3)
    assert numbers["acc.any.sameSrc.loc.lower"] == 0
    assert numbers["acc.any.sameSrc.loc.upper"] == pytest.approx(mean + 4.302653 * error, abs=1e-3)


def test_nothing_answered_is_zero():
    assert grit_numbers({}, {}, {})["overall.mean"] == 0
