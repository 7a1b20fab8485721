"""Which images are held out: chosen at random, but with objects on both sides, and all classes where possible."""

from collections import Counter
from collections.abc import Sequence, Set

from numpy.random import default_rng

LOOKED_AT = 50
"""Images of a class among which one is chosen that has many other classes, too."""
TRIES = 50
"""Random choices that are compared if the first leaves something out."""


def choose_held_out(labels: Sequence[Set[int]], count: int, seed: int) -> set[int]:
    """Places of the images that are held out.

    The choice is that of the seed alone, unless a side would lack objects or a class that both can have. Then images of
    the rarest classes are held out first. A class that only one image has is trained, if another has objects to score.

    Args:
        labels: Labels of the objects of each image that training learns from.
        count: How many images, fewer than there are.
        seed: The same seed gives the same images.
    """
    random = default_rng(seed)
    images = Counter(label for each in labels for label in each)
    best, least = set[int](), None
    for number in range(TRIES):
        order = random.permutation(len(labels)).tolist()
        chosen = _rarest_first(labels, order, count, images) if number == 1 else set(order[:count])
        lacking = _lacking(labels, chosen, images)
        if least is None or lacking < least:
            best, least = chosen, lacking
        if not any(least):
            break
    return best


def _lacking(labels: Sequence[Set[int]], held: Set[int], images: Counter[int]) -> tuple[int, int, int]:
    """Sides that lack objects, classes that are not trained, and those that are not held out, as far as it can be."""
    outside = Counter(label for place in held for label in labels[place])
    lost = sum(outside[label] == number for label, number in images.items())
    empty = sum(map(bool, labels)) > 1 and not outside
    return (
        int(empty) + int(bool(images) and lost == len(images)),
        lost,
        sum(number > 1 and not outside[label] for label, number in images.items()),
    )


def _rarest_first(labels: Sequence[Set[int]], order: Sequence[int], count: int, images: Counter[int]) -> set[int]:
    """Images of each class, the rarest first, as long as all classes stay in training; then others in order."""
    chosen: set[int] = set()
    trained = images.copy()
    missing = {label for label, number in images.items() if number > 1}
    having: dict[int, list[int]] = {label: [] for label in missing}
    for place in order:
        for label in labels[place] & missing:
            having[label].append(place)
    for label in sorted(having, key=lambda label: (images[label], label)):
        places = [place for place in having[label] if _can_go(labels[place], trained)][:LOOKED_AT]
        if label in missing and places and len(chosen) < count:
            best = max(places, key=lambda place: len(missing & labels[place]))
            chosen.add(best)
            trained.subtract(labels[best])
            missing -= labels[best]
    for place in order:
        if len(chosen) < count and place not in chosen and _can_go(labels[place], trained):
            chosen.add(place)
            trained.subtract(labels[place])
    # What is left would take a class from training.
    return chosen | set([place for place in order if place not in chosen][: count - len(chosen)])


def _can_go(labels: Set[int], trained: Counter[int]) -> bool:
    return all(trained[label] > 1 for label in labels)
