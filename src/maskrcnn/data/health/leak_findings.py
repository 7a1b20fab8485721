"""Pictures that are in a data set twice, and above all in two of its splits."""

from collections.abc import Iterator, Sequence

from ...structures.findings import Example, Finding, counted, some
from .duplicates import LEAST_CORRELATION, MOST_BITS, near_pairs, same_files
from .pictures import PictureFacts

RULE = f"difference hashes at most {MOST_BITS} of 64 bits apart, small copies that correlate by {LEAST_CORRELATION}"


def find_leaks(facts: Sequence[tuple[str, PictureFacts]]) -> list[Finding]:
    """Pictures with the same bytes, and pictures that look the same, within a split and across splits.

    Args:
        facts: Name of the split and facts of every picture.
    """
    splits, pictures = [name for name, _ in facts], [one for _, one in facts]
    same = [(group[0], other) for group in same_files(pictures) for other in group[1:]]
    near = near_pairs(pictures)
    return [
        *_across(
            facts,
            [pair for pair in same if splits[pair[0]] != splits[pair[1]]],
            "leaked-pictures",
            "are the same file, byte for byte",
        ),
        *_across(
            facts,
            [pair for pair in near if splits[pair[0]] != splits[pair[1]]],
            "nearly-leaked-pictures",
            f"look the same ({RULE})",
        ),
        *_within(
            facts,
            [pair for pair in same if splits[pair[0]] == splits[pair[1]]],
            "duplicate-pictures",
            "have the same bytes",
        ),
        *_within(
            facts,
            [pair for pair in near if splits[pair[0]] == splits[pair[1]]],
            "near-duplicate-pictures",
            f"look the same ({RULE})",
        ),
    ]


Pairs = list[tuple[int, int]]


def _across(facts: Sequence[tuple[str, PictureFacts]], pairs: Pairs, name: str, what: str) -> Iterator[Finding]:
    if pairs:
        splits = sorted({facts[place][0] for pair in pairs for place in pair})
        yield Finding(
            "warning",
            name,
            f"{counted(len(pairs), 'pair')} of pictures of different splits ({', '.join(splits)}) {what}.",
            "What is learnt from cannot judge: the scores will be too good. Take these pictures out of one of the "
            "splits; split by scene, patient, slide or film, not by picture.",
            len(pairs),
            some([example for pair in pairs for example in _shown(facts, pair)]),
        )


def _within(facts: Sequence[tuple[str, PictureFacts]], pairs: Pairs, name: str, what: str) -> Iterator[Finding]:
    if pairs:
        yield Finding(
            "note",
            name,
            f"{counted(len(pairs), 'pair')} of pictures of one split {what}.",
            "Each counts as often as it is there. If their annotations differ, correct them; without validation data, "
            "a part of the pictures is held out at random, and such pairs may then be divided: give --val.",
            len(pairs),
            some([example for pair in pairs for example in _shown(facts, pair)]),
        )


def _shown(facts: Sequence[tuple[str, PictureFacts]], pair: tuple[int, int]) -> list[Example]:
    """Both pictures of a pair, one after the other."""
    (first, one), (second, other) = (facts[place] for place in pair)
    return [
        Example(f"{first} {one.path.name} = {second} {other.path.name}", one.path),
        Example(f"{second} {other.path.name}", other.path),
    ]
