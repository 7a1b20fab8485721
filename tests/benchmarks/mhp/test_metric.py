from pathlib import Path

import numpy as np
import pytest

from maskrcnn.benchmarks.mhp.metric import PARTS, THRESHOLDS, PartImage, mhp_scores, mhp_section
from tests.builders.vectors import label_map, load_vector, number, vector_files


def strip(*values: int) -> np.ndarray:
    """An image of one row."""
    return np.array([values], dtype=np.uint8)


@pytest.mark.parametrize("path", vector_files("mhp"))
def test_equals_the_official_script(path: Path):
    vector = load_vector(path)
    assert vector["input"].keys() == {"num_classes", "images"}
    assert vector["input"]["num_classes"] == len(PARTS) + 1
    section = mhp_section(
        PartImage(
            [label_map(person).astype(np.uint8) for person in image["gt"]],
            [label_map(found["label_map"]).astype(np.uint8) for found in image["pred"]],
            [found["score"] for found in image["pred"]],
        )
        for image in vector["input"]["images"]
    )
    for name, expected in vector["expected"].items():
        if name == "per_threshold":
            assert len(expected) == len(THRESHOLDS)
            for threshold, numbers in expected.items():
                found = section.per_class[f"above {threshold}"]
                assert found == pytest.approx({key: number(each) for key, each in numbers.items()}, abs=1e-9)
        elif name != "official":  # what the script raises without predictions
            assert section.numbers[name] == pytest.approx(number(expected), abs=1e-9), name


def slow_scores(images: list[PartImage], threshold: float) -> tuple[float, float]:
    """The official script's loops."""
    used, rows, people = set(), [], 0
    for place, image in enumerate(images):
        people += sum(bool(person.any()) for person in image.people)
        rows += [(score, place, found) for found, score in zip(image.found, image.scores, strict=True)]
    right, shares = [], []
    for _, place, found in sorted(rows, key=lambda row: -row[0]):
        best, chosen = -np.inf, None
        for number_, person in enumerate(images[place].people):
            if not person.any():
                continue
            valid = person < 59
            ious = []
            for value in range(59):
                ours, theirs = (found == value)[valid], (person == value)[valid]
                ious.append((ours & theirs).sum() / (ours | theirs).sum() if (ours | theirs).any() else np.nan)
            if np.nanmean(ious) > best:
                parts = len(set(np.unique(person[valid])) - {0})
                best, chosen = (
                    np.nanmean(ious),
                    (place, number_, np.sum(np.array(ious[1:]) > threshold) / max(parts, 1)),
                )
        hit = chosen is not None and best > threshold and chosen[:2] not in used
        right.append(hit)
        if hit:
            used.add(chosen[:2])
            shares.append(chosen[2])
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    area = sum(precision[place:].max() for place in np.flatnonzero(right)) / people
    return area, sum(shares) / people


def test_equals_a_slow_reference():
    generator = np.random.default_rng(3)

    def draw() -> np.ndarray:
        values = generator.choice([0, 0, 1, 2, 58, 60], size=(4, 5)).astype(np.uint8)
        return values * (generator.random((4, 5)) < 0.7)

    images = []
    for _ in range(12):
        people = [draw() for _ in range(generator.integers(0, 4))]
        noise = [np.where(generator.random((4, 5)) < 0.2, 1, person) for person in [*people, draw()]]
        found = [np.where(each > 58, 0, each).astype(np.uint8) for each in noise]
        images.append(PartImage(people, found, generator.random(len(found)).tolist()))
    scores = mhp_scores(images)
    for threshold in THRESHOLDS:
        expected = slow_scores(images, threshold)
        assert (scores.precision[threshold], scores.parts[threshold]) == pytest.approx(expected, abs=1e-12)


def test_background_counts_and_a_class_only_found_counts_as_zero():
    person, found = strip(1, 1, 0, 0), strip(1, 1, 2, 0)
    # IoUs: background 1/2, part 1 2/2, part 2 0; mean 0.5.
    scores = mhp_scores([PartImage([person], [found], [0.9])])
    assert [scores.precision[threshold] for threshold in (0.4, 0.5)] == [1, 0]
    assert [scores.parts[threshold] for threshold in (0.4, 0.5)] == [1, 0]


def test_a_second_detection_of_a_person_is_wrong():
    person = strip(1, 1, 0, 0)
    scores = mhp_scores([PartImage([person, strip(0, 0, 2, 2)], [person, person], [0.9, 0.8])])
    assert scores.precision[0.5] == 0.5
    section = mhp_section([PartImage([person], [person, person], [0.5, 0.9])])
    assert section.numbers == {"AP_p_0_5": 1, "AP_p_vol": 1, "PCP_0_5": 1}


def test_detections_in_an_image_without_people_are_wrong():
    person = strip(1, 1, 0, 0)
    images = [PartImage([], [person], [0.9]), PartImage([person, strip(0, 0, 0, 0)], [person], [0.8])]
    assert mhp_scores(images).precision[0.5] == 0.5


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined():
    person = strip(1, 1, 0, 0)
    assert set(mhp_section([PartImage([person], [], [])]).numbers.values()) == {0}
    assert set(mhp_section([PartImage([], [person], [0.5])]).numbers.values()) == {None}
    assert set(mhp_section([]).numbers.values()) == {None}
