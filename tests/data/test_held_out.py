from collections import Counter
from random import Random

import pytest

from maskrcnn.data.held_out import choose_held_out


def sides(labels, count, seed):
    """The classes of the images that are trained, and of those held out."""
    chosen = choose_held_out(labels, count, seed)
    assert len(chosen) == count
    return (
        set().union(*(labels[place] for place in range(len(labels)) if place not in chosen)),
        set().union(*(labels[place] for place in chosen)),
    )


@pytest.mark.parametrize(
    ("labels", "count", "trained", "held"),
    [
        pytest.param([{0}, *[set()] * 9], 1, {0}, set(), id="the only image with objects is trained"),
        pytest.param([{0}, {0}, *[set()] * 18], 2, {0}, {0}, id="two images with objects are shared"),
        pytest.param([{0}, {0}, {1}, {1}, {2}, {2}], 3, {0, 1, 2}, {0, 1, 2}, id="classes are on both sides"),
        pytest.param([{0}] * 50 + [{1}, {1}], 5, {0, 1}, {0, 1}, id="a rare class is on both sides"),
        pytest.param([{0}] * 50 + [{1}], 5, {0, 1}, {0}, id="a class of one image is trained"),
        pytest.param([{0, 1}, {0}, {1}], 2, {0, 1}, {0, 1}, id="the image with all classes is trained"),
        pytest.param([set()] * 4, 2, set(), set(), id="no objects at all"),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_objects_and_classes_are_on_both_sides_where_they_can_be(labels, count, trained, held, seed):
    assert sides(labels, count, seed) == (trained, held)


@pytest.mark.parametrize("seed", range(4))
def test_images_that_each_have_a_class_of_their_own_are_still_on_both_sides(seed):
    trained, held = sides([{0}, {1}, set(), set()], 1, seed)
    assert (len(trained), len(held)) == (1, 1)


def test_a_random_choice_that_covers_all_classes_stays_random():
    counts = Counter(place for seed in range(300) for place in choose_held_out([{0}] * 10, 2, seed))
    assert len(counts) == 10
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize("seed", range(20))
def test_any_labels_leave_objects_and_every_class_to_train(seed):
    draw = Random(seed)
    labels = [{label for label in range(8) if draw.random() < 0.2} for _ in range(30)]
    trained, held = sides(labels, 6, seed)
    assert trained == set().union(*labels)
    assert held
