"""Findings about a dataset."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: training stops at it; warning: the model will be worse for it; note: worth knowing."""

MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Example:
    """Where a finding can be seen.

    Args:
        words: File name, and which object.
        path: The image; None if it cannot be shown.
        box: x1, y1, x2, y2 of the object in its pixels; None: the whole image.
    """

    words: str
    path: Path | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        severity: As in `SEVERITIES`.
        name: Short and lasting, for programs: "missing-images".
        what: One or two sentences with the numbers; one line per split.
        advice: What to do about it.
        count: How many images, objects or classes it is about.
        examples: A few of them, the worst first.
        settings: Words for the command line of `maskrcnn train` that follow from it.
    """

    severity: Severity
    name: str
    what: str
    advice: str
    count: int = 1
    examples: tuple[Example, ...] = ()
    settings: tuple[str, ...] = ()


def about(
    part: int,
    whole: int,
    split: str,
    severity: Severity,
    name: str,
    what: str,
    advice: str,
    examples: Sequence[Example] = (),
    settings: tuple[str, ...] = (),
) -> Iterator[Finding]:
    """A finding about some of many; none about none of them.

    Args:
        part, whole: How many of how many.
        split: Name of the split.
        severity, name, advice, settings: As of `Finding`.
        what: Behind the name of the split and the numbers.
        examples: The worst first; a few are kept.
    """
    if part:
        words = f"{split}: {share(part, whole)} {what}"
        yield Finding(severity, name, words, advice, part, some(examples), settings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; the same of several splits as one, with examples of each in turn."""
    together: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.severity, finding.name, finding.advice), []).append(finding)
    joined = [_join(same) for same in together.values()]
    return sorted(joined, key=lambda finding: SEVERITIES.index(finding.severity))


def _join(same: Sequence[Finding]) -> Finding:
    if len(same) == 1:
        return same[0]
    rounds = zip_longest(*(finding.examples for finding in same))
    return replace(
        same[0],
        what="\n".join(finding.what for finding in same),
        count=sum(finding.count for finding in same),
        examples=some([example for turn in rounds for example in turn if example is not None]),
        settings=tuple(dict.fromkeys(words for finding in same for words in finding.settings)),
    )


def some(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The first few of many."""
    return tuple(examples[:MOST_EXAMPLES])


def by_share(part: int, whole: int, limit: float = 0.01) -> Severity:
    """A warning if it is about more than `limit` of all, else a note."""
    return "warning" if part > limit * whole else "note"


def share(part: int, whole: int) -> str:
    """`12 of 400 (3.0 %)`."""
    percent = 100 * part / max(1, whole)
    words = f"{percent:.0f}" if percent >= 10 or percent == 0 else f"{percent:.1f}" if percent >= 0.1 else "< 0.1"
    return f"{part:,} of {whole:,} ({words} %)"
