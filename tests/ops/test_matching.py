import pytest
import torch

from maskrcnn.ops.matching import IGNORED, NEGATIVE, match_boxes, sample_matches

TARGETS = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])


def strip(height: float, x: float = 0.0) -> list[float]:
    """A box over a target's full width: its overlap with the target is height / 10."""
    return [x, 0.0, x + 10.0, height]


def match(boxes, targets=TARGETS, **options):
    return match_boxes(torch.tensor(boxes), targets, **{"positive_iou": 0.7, "negative_iou": 0.3} | options).tolist()


def test_a_box_stands_for_its_target_for_none_or_is_ignored_by_overlap():
    boxes = [strip(7, x=20), strip(10), strip(6.9), strip(3), strip(2.9), [50.0, 50.0, 60.0, 60.0]]
    assert match(boxes) == [1, 0, IGNORED, IGNORED, NEGATIVE, NEGATIVE]


def test_a_box_stands_for_the_target_it_overlaps_most():
    boxes = [[12.0, 0.0, 30.0, 10.0], [1.0, 0.0, 11.0, 10.0]]
    assert match(boxes, positive_iou=0.5) == [1, 0]


def test_a_target_without_a_good_box_rescues_its_best_ones():
    # Target 0 has no box of 0.7; two boxes tie for its best overlap, 0.2. Target 1 is matched as usual.
    boxes = [strip(2), strip(1), strip(8, x=20), [0.0, 8.0, 10.0, 10.0]]
    assert match(boxes) == [NEGATIVE, NEGATIVE, 1, NEGATIVE]
    assert match(boxes, rescue_iou=0) == [0, NEGATIVE, 1, 0]


def test_a_rescued_box_stands_for_its_own_best_target():
    # The only box of target 1 overlaps target 0 more.
    targets = torch.tensor([[0.0, 0.0, 10.0, 10.0], [8.0, 0.0, 28.0, 10.0]])
    assert match([[0.0, 0.0, 12.0, 10.0]], targets, positive_iou=0.9, rescue_iou=0) == [0]


@pytest.mark.parametrize("target", [[100.0, 100.0, 110.0, 110.0], [5.0, 5.0, 5.0, 5.0]])
def test_a_target_that_no_box_touches_rescues_none(target):
    assert match([strip(2), strip(9)], torch.tensor([target]), rescue_iou=0) == [NEGATIVE, NEGATIVE]


@pytest.mark.parametrize("rescue_iou", [None, 0.0])
def test_without_targets_everything_is_background_and_without_boxes_there_is_nothing(rescue_iou):
    assert match([strip(5)], torch.zeros(0, 4), rescue_iou=rescue_iou) == [NEGATIVE]
    none = match_boxes(torch.zeros(0, 4), torch.zeros(0, 4), positive_iou=0.7, negative_iou=0.3, rescue_iou=rescue_iou)
    assert none.shape == (0,)


def sampled(matches, **options):
    chosen = sample_matches(torch.tensor(matches), **options)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    return chosen


def test_positives_are_limited_to_their_share_and_negatives_fill_the_rest():
    matches = [0] * 10 + [NEGATIVE] * 10 + [IGNORED] * 10
    chosen = sampled(matches, samples=8, positive_fraction=0.25)
    assert (chosen < 10).sum() == 2
    assert ((chosen >= 10) & (chosen < 20)).sum() == 6


def test_fewer_are_chosen_where_there_are_fewer():
    assert sampled([IGNORED, 3, NEGATIVE, 0], samples=100, positive_fraction=0.5).tolist() == [1, 2, 3]
    assert sampled([IGNORED], samples=4, positive_fraction=0.5).tolist() == []
    assert sample_matches(torch.zeros(0, dtype=torch.int64), samples=4, positive_fraction=0.5).tolist() == []


def test_the_choice_is_random_and_repeats_with_its_seed():
    matches = torch.tensor([0] * 100 + [NEGATIVE] * 100)
    choices = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        choices.append(sample_matches(matches, samples=20, positive_fraction=0.5).tolist())
    assert choices[0] == choices[1] != choices[2]


def test_a_box_is_rescued_only_if_it_overlaps_enough():
    assert match([strip(4)], rescue_iou=0.39) == [0]
    assert match([strip(4)], rescue_iou=0.41) == [IGNORED]
