import pytest
import torch

from maskrcnn.ops import matching
from maskrcnn.ops.matching import IGNORED, NEGATIVE, match_boxes, sample_matches

TARGETS = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])


def strip(height: float, x: float = 0.0) -> list[float]:
    """A box over a target's full width: its overlap with the target is height / 10."""
    return [x, 0.0, x + 10.0, height]


def match(boxes, targets=TARGETS, **options):
    return match_all([targets], torch.tensor(boxes), **options)[0].tolist()


def match_all(targets, boxes, **options):
    return match_boxes(boxes, targets, **{"positive_iou": 0.7, "negative_iou": 0.3} | options)


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
    assert match_all([torch.zeros(0, 4), TARGETS], torch.zeros(0, 4), rescue_iou=rescue_iou).shape == (2, 0)


@pytest.mark.parametrize("most", [1, 2**24], ids=["one image at a time", "all at once"])
def test_images_with_different_numbers_of_objects_are_matched_apart(most, monkeypatch):
    monkeypatch.setattr(matching, "LARGEST_MATRIX", most)
    corners = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) * 20
    boxes = torch.cat([corners, corners + 10], dim=1)
    targets = [boxes[:3] + 1, boxes[:0], boxes[3:10] + 2]
    found = match_all(targets, boxes, rescue_iou=0.1)
    assert {NEGATIVE, IGNORED, 0, 6} < set(found.flatten().tolist())
    assert found.tolist() == [match(boxes.tolist(), own, rescue_iou=0.1) for own in targets]
    of_each = torch.stack([boxes, boxes + 3, boxes.flip(0)])
    found = match_all(targets, of_each)
    assert found.tolist() == [match(own.tolist(), objects) for own, objects in zip(of_each, targets)]


def test_boxes_that_are_not_there_are_ignored():
    boxes = torch.tensor([[strip(9), [torch.nan] * 4], [[torch.nan] * 4] * 2])
    assert match_all([TARGETS, TARGETS[:0]], boxes, rescue_iou=0.0).tolist() == [[0, IGNORED], [IGNORED, IGNORED]]


def test_where_nothing_is_annotated_even_a_limit_of_no_overlap_makes_background():
    boxes = torch.tensor([strip(5, x=50)])
    assert match_all([TARGETS[:0], TARGETS], boxes, negative_iou=0.0).tolist() == [[NEGATIVE], [IGNORED]]


def sampled(*images, **options):
    """Chosen columns of positives and of negatives of each image."""
    matches = torch.tensor(images)
    found = []
    for positions in sample_matches(matches, **options):
        assert positions.tolist() == sorted(set(positions.tolist()))
        rows, columns = positions // matches.shape[1], positions % matches.shape[1]
        found.append([columns[rows == row].tolist() for row in range(len(images))])
    return list(zip(*found))


def test_positives_are_limited_to_their_share_and_negatives_fill_the_rest():
    matches = [0] * 10 + [NEGATIVE] * 10 + [IGNORED] * 10
    for positives, negatives in sampled(matches, matches, samples=8, positive_fraction=0.25):
        assert len(positives) == 2
        assert all(place < 10 for place in positives)
        assert len(negatives) == 6
        assert all(10 <= place < 20 for place in negatives)


def test_fewer_are_chosen_where_there_are_fewer():
    images = ([IGNORED, 3, NEGATIVE, 0], [IGNORED] * 4, [NEGATIVE, NEGATIVE, IGNORED, NEGATIVE], [1, IGNORED, 1, 1])
    expected = [([1, 3], [2]), ([], []), ([], [0, 1, 3]), ([0, 2, 3], [])]
    assert sampled(*images, samples=100, positive_fraction=0.5) == expected
    assert sampled([], [], samples=4, positive_fraction=0.5) == [([], []), ([], [])]


def test_the_choice_is_random_and_repeats_with_its_seed():
    matches = [0] * 100 + [NEGATIVE] * 100
    choices = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        choices.append(sampled(matches, matches, samples=20, positive_fraction=0.5))
    assert choices[0] == choices[1] != choices[2]
    first, second = choices[0]
    assert first != second


def test_all_are_chosen_equally_often():
    matches = [[0] * 4 + [NEGATIVE] * 4 + [IGNORED]] * 4000
    torch.manual_seed(0)
    chosen = sample_matches(torch.tensor(matches), samples=4, positive_fraction=0.5)
    counts = torch.bincount(torch.cat(chosen) % 9, minlength=9)
    assert counts[8] == 0
    # 2 of 4, 4000 times: 2000 each, with a deviation of 32.
    assert ((counts[:8] - 2000).abs() < 130).all()


def test_a_box_is_rescued_only_if_it_overlaps_enough():
    assert match([strip(4)], rescue_iou=0.39) == [0]
    assert match([strip(4)], rescue_iou=0.41) == [IGNORED]
