from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.benchmarks.grit.metric import (
    GritAnswer,
    GritSample,
    box_score,
    grit_numbers,
    grit_sections,
    mask_score,
    sample_score,
)
from tests.builders.vectors import load_vector, number, vector_files

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


def test_a_task_has_its_accuracy_and_its_measures():
    same, new = boxes(1, 1, 1), boxes(0.2, 0.4, new_source=True)
    answers = {"localization": {**same[1], **new[1]}}
    reported: list[str] = []
    sections = grit_sections({"localization": [*same[0], *new[0]]}, answers, note="So it is.", say=reported.append)
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
    assert reported == ["localization"]


@pytest.mark.parametrize("path", vector_files("grit"))
def test_equals_the_official_metric(path: Path):
    vector = load_vector(path)
    if "samples" in vector["input"]:
        check_vector(vector)
    else:
        check_cases(vector)


def check_cases(vector: dict):
    task = "segmentation" if "segmentation" in vector["name"] else "localization"
    scores = [case_score(task, case) for case in vector["input"]["cases"]]
    found = {"scores": scores, "mean": np.mean(scores)}
    for name, expected in vector["expected"].items():
        values = [number(value) for value in expected] if isinstance(expected, list) else number(expected)
        assert found[name] == pytest.approx(values, abs=1e-9), name


def case_score(task: str, case: dict) -> float:
    query = "sky (Stuff)" if case.get("stuff") else "cat"
    return sample_score(task, GritSample("1", query, case["gt"]), GritAnswer(0.5, case["pred"]))


def square(size: int, *, image: tuple[int, int] = (20, 30)) -> np.ndarray:
    mask = np.zeros(image, dtype=np.uint8)
    mask[:size, :size] = 1
    return mask


def test_what_stays_alone_counts_against_the_answer():
    boxes = [[0, 0, 10, 10], [20, 20, 30, 30]]
    assert box_score(boxes, boxes) == pytest.approx(1)
    assert box_score(boxes[:1], boxes) == pytest.approx(0.5)
    assert box_score([*boxes, [50, 50, 51, 51]], boxes) == pytest.approx(2 / 3)
    assert box_score([], []) == 1
    assert box_score([], boxes) == box_score(boxes, []) == 0


def test_pairs_are_the_best_in_sum():
    # Each alone would take the first: 0.8 + 0; together 0.7 + 0.6 is more.
    found = [[0, 0, 10, 80], [0, 0, 10, 70]]
    truth = [[0, 0, 10, 100], [0, 0, 10, 112]]
    expected = max(0.8 + 70 / 112, 0.7 + 80 / 112) / 2
    assert box_score(found, truth) == pytest.approx(expected)


def test_a_box_turned_round_has_no_area():
    assert box_score([[10, 10, 0, 0]], [[0, 0, 10, 10]]) == 0


def test_masks_of_stuff_count_together():
    whole = square(10)
    left, right = whole.copy(), whole.copy()
    left[:, 5:], right[:, :5] = 0, 0
    assert mask_score([left, right], [whole], stuff=True) == pytest.approx(1)
    assert mask_score([left, right], [whole], stuff=False) == pytest.approx(0.5 / 2)
    assert mask_score([], [whole], stuff=True) == mask_score([whole], [], stuff=True) == 0
    assert mask_score([], [], stuff=True) == 0
    assert mask_score([], [], stuff=False) == 1


@pytest.mark.parametrize("stuff", [False, True])
def test_masks_of_another_size_are_scaled(stuff: bool):
    assert mask_score([square(4, image=(10, 15))], [square(8)], stuff=stuff) > 0.75


def test_a_query_says_whether_it_is_of_stuff():
    masks = [coco_mask.encode(np.asfortranarray(square(size))) for size in (4, 8)]
    answer = GritAnswer(0.5, masks)
    assert sample_score("segmentation", GritSample("1", "sky (Stuff)", masks[1:]), answer) == pytest.approx(1)
    assert sample_score("segmentation", GritSample("1", "sky", masks[1:]), answer) == pytest.approx(0.5)
