"""What is to be said about the image files of a split, and about images that are there twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..data.dataset import Record
from .findings import Example, Finding, counted, share, some
from .images import LEAST_CORRELATION, MOST_BITS, ImageFacts, near_pairs, same_files

DEEP = ("I", "F")
"""Modes of more than 8 bits, and those that begin with I;16."""
CLEAR = ("RGBA", "LA", "PA", "RGBa", "La")
DARK = 80
"""Brightness, of 255, that 99 of 100 pixels of a dark image do not reach."""
SPREAD = 3.0
"""Large over small images (98th and 2nd percentile of their shorter sides) from which that is worth a word."""
RULE = f"difference hashes at most {MOST_BITS} of 64 bits apart, small copies that correlate by {LEAST_CORRELATION}"
Pairs = list[tuple[int, int]]


def find_in_images(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> list[Finding]:
    """Files that cannot be read, contradict their record, or are of a kind worth knowing.

    Args:
        name: Of the split.
        records: Its images.
        facts: Of each of them.
    """
    checks: tuple[Callable[[str, Sequence[Record], Sequence[ImageFacts]], Iterator[Finding]], ...] = (
        _unreadable,
        _other_size,
        _kinds,
        _empty_looking,
        _dark,
        _sizes,
    )
    return [finding for check in checks for finding in check(name, records, facts)]


def _unreadable(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    broken = [one for one in facts if one.problem is not None]
    if broken:
        yield Finding(
            "error",
            "unreadable-images",
            f"{name}: {share(len(broken), len(facts))} image files cannot be read: damaged, cut off, or no images.",
            "Copy or download them again, or take them out of the dataset; training stops at the first of them.",
            len(broken),
            some([Example(one.problem or "") for one in broken]),
        )


def _other_size(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    wrong = [pair for pair in zip(records, facts, strict=True) if not pair[1].problem and pair[1].size != pair[0].size]
    if not wrong:
        return
    turned = [pair for pair in wrong if pair[1].orientation > 4 and pair[1].size == pair[0].size[::-1]]
    reason = (
        f" {counted(len(turned), 'of them has', 'of them have')} an EXIF orientation that the annotations ignore."
        if turned
        else ""
    )
    yield Finding(
        "error",
        "wrong-sizes",
        f"{name}: {share(len(wrong), len(records))} images are of another size than their record says.{reason}",
        "Correct `width` and `height` of the records. Where they are swapped, the image was annotated lying on its "
        "side: remove its EXIF orientation (`exiftool -Orientation= FILE`), so that it is shown as it was annotated.",
        len(wrong),
        some([Example(f"{record.path.name}: {_shown(one)}, record {_by(record.size)}") for record, one in wrong]),
    )


def _kinds(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    read = [one for one in facts if one.problem is None]
    for key, what, advice, chosen in (
        (
            "deep-images",
            "have more than 8 bits per pixel",
            "Each is scaled to 8 bits by its own range; if absolute brightness means something, scale them yourself.",
            [one for one in read if one.mode in DEEP or one.mode.startswith("I;16")],
        ),
        (
            "cmyk-images",
            "are CMYK, made for printing",
            "They become RGB without a color profile, and their colors differ; save them as RGB.",
            [one for one in read if one.mode == "CMYK"],
        ),
        (
            "clear-images",
            "have an alpha channel",
            "What is transparent is laid on white; save them without alpha if that is wrong.",
            [one for one in read if one.mode in CLEAR],
        ),
        (
            "many-pages",
            "have several pages",
            "Only the first page is read; split them into files if the others count.",
            [one for one in read if one.pages > 1],
        ),
    ):
        if chosen:
            words = f"{name}: {share(len(chosen), len(read))} images {what}."
            examples = [Example(f"{one.path.name} ({one.mode})", one.path) for one in chosen]
            yield Finding("note", key, words, advice, len(chosen), some(examples))
    gray = [one for one in read if one.gray]
    if gray and len(gray) < len(read):
        yield Finding(
            "note",
            "gray-images",
            f"{name}: {share(len(gray), len(read))} images are gray, the others colored.",
            "Nothing has to be done; color jitter (`augment.saturation`) does nothing to the gray ones. If the kinds "
            "differ in more than color, `data.balance=FIELD` draws them equally often by a field of their records.",
            len(gray),
        )


def _empty_looking(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    flat = [one for one in facts if one.thumb is not None and np.ptp(one.thumb) <= 1]
    if flat:
        yield Finding(
            "warning",
            "flat-images",
            f"{name}: {share(len(flat), len(facts))} images are of one brightness all over: blank, or badly converted.",
            "Look at them; take blank ones out.",
            len(flat),
            some([Example(one.path.name, one.path) for one in flat]),
        )


def _dark(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    read = [one for one in facts if one.thumb is not None]
    dark = [one for one in read if one.bright < DARK]
    if len(dark) > len(read) / 2:
        median = float(np.median([one.bright for one in read]))
        yield Finding(
            "warning",
            "dark-images",
            f"{name}: {share(len(dark), len(read))} images are dark: 99 % of their pixels stay below {DARK} of 255 "
            f"(median of all images: {median:.0f}).",
            "Stretch the brightness of every image, when training and when predicting.",
            len(dark),
            some([Example(one.path.name, one.path) for one in sorted(dark, key=lambda one: one.bright)]),
            ("input.stretch=0.1,99.9",),
        )


def _sizes(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    sizes = Counter(record.size for record in records)
    if len(sizes) < 2:
        return
    shorter = np.array([min(record.size) for record in records])
    small, large = np.percentile(shorter, (2, 98))
    if large > SPREAD * small:
        common = ", ".join(f"{_by(size)} ({count})" for size, count in sizes.most_common(3))
        yield Finding(
            "note",
            "many-sizes",
            f"{name}: the images' shorter sides run from {shorter.min()} to {shorter.max()} px; the most frequent "
            f"sizes are {common}.",
            "All are resized to one shorter side (`input.min_size`), so that small ones are enlarged much more "
            "than large ones. Where all were taken at one magnification, use one factor, `input.scale_factor`.",
            len(sizes),
        )


def _shown(one: ImageFacts) -> str:
    turned = f" (EXIF orientation {one.orientation})" if one.orientation != 1 else ""
    return f"file {_by(one.size)}{turned}"


def _by(size: tuple[int, int]) -> str:
    """Width x height, as people say it."""
    return f"{size[1]} x {size[0]}"


def find_leaks(facts: Sequence[tuple[str, ImageFacts]]) -> list[Finding]:
    """Images with the same bytes, and images that look the same, within a split and across splits.

    Args:
        facts: Name of the split and facts of every image.
    """
    splits, images = [name for name, _ in facts], [one for _, one in facts]
    same = [(group[0], other) for group in same_files(images) for other in group[1:]]
    near = near_pairs(images)
    return [
        *_across(
            facts,
            [pair for pair in same if splits[pair[0]] != splits[pair[1]]],
            "leaked-images",
            "are the same file, byte for byte",
        ),
        *_across(
            facts,
            [pair for pair in near if splits[pair[0]] != splits[pair[1]]],
            "nearly-leaked-images",
            f"look the same ({RULE})",
        ),
        *_within(
            facts,
            [pair for pair in same if splits[pair[0]] == splits[pair[1]]],
            "duplicate-images",
            "have the same bytes",
        ),
        *_within(
            facts,
            [pair for pair in near if splits[pair[0]] == splits[pair[1]]],
            "near-duplicate-images",
            f"look the same ({RULE})",
        ),
    ]


def _across(facts: Sequence[tuple[str, ImageFacts]], pairs: Pairs, name: str, what: str) -> Iterator[Finding]:
    if pairs:
        splits = sorted({facts[place][0] for pair in pairs for place in pair})
        yield Finding(
            "warning",
            name,
            f"{counted(len(pairs), 'pair')} of images of different splits ({', '.join(splits)}) {what}.",
            "What is learned from cannot judge: the scores will be too good. Take these images out of one of the "
            "splits; split by scene, patient, slide or film, not by image.",
            len(pairs),
            some([example for pair in pairs for example in _both(facts, pair)]),
        )


def _within(facts: Sequence[tuple[str, ImageFacts]], pairs: Pairs, name: str, what: str) -> Iterator[Finding]:
    if pairs:
        yield Finding(
            "note",
            name,
            f"{counted(len(pairs), 'pair')} of images of one split {what}.",
            "Each counts as often as it is there. If their annotations differ, correct them; without validation data, "
            "a part of the images is held out at random, and such pairs may then be divided: give --val.",
            len(pairs),
            some([example for pair in pairs for example in _both(facts, pair)]),
        )


def _both(facts: Sequence[tuple[str, ImageFacts]], pair: tuple[int, int]) -> list[Example]:
    """Both images of a pair, one after the other."""
    (first, one), (second, other) = (facts[place] for place in pair)
    return [
        Example(f"{first} {one.path.name} = {second} {other.path.name}", one.path),
        Example(f"{second} {other.path.name}", other.path),
    ]
